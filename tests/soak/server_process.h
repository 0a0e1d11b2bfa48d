#pragma once
// `pagoda serve` as a process of its own, on a port that the system chooses, and what the system says of it.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pagoda::soak {

class ServerProcess {
 public:
  // Returns when it serves. `arguments` come behind "serve --port 0".
  explicit ServerProcess(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {PAGODA_PROGRAM, "serve", "--port", "0"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int log[2];
    if (pipe2(log, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(log[1], STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(log[1]);
    reader_ = std::thread([this, end = log[0]] { read_log(end); });
    const std::string sign = " on http://127.0.0.1:";
    for (int i = 0; i < 30000 && port_ == 0 && !ended_; ++i) {
      const std::string text = this->log();
      const std::size_t at = text.find(sign), line = text.find('\n', at);
      if (at != std::string::npos && line != std::string::npos)
        port_ = static_cast<std::uint16_t>(std::stoi(text.substr(at + sign.size())));
      else
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  ~ServerProcess() {
    if (pid_ > 0 && !waited_) {
      kill(pid_, SIGKILL);
      wait();
    }
    if (reader_.joinable()) reader_.join();
  }
  ServerProcess(const ServerProcess&) = delete;

  std::uint16_t port() const { return port_; }  // 0: it did not start
  void terminate() { kill(pid_, SIGTERM); }
  // To its end: the exit code; -1 when a signal ended it.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    waited_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  std::size_t resident_bytes() const {
    std::ifstream file(proc("statm"));
    std::size_t total = 0, resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
  std::size_t open_files() const {
    const std::filesystem::directory_iterator files(proc("fd"));
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }

 private:
  std::string proc(const char* name) const { return "/proc/" + std::to_string(pid_) + "/" + name; }
  void read_log(int from) {
    char buffer[4096];
    for (ssize_t got = 0; (got = read(from, buffer, sizeof buffer)) > 0;) {
      const std::lock_guard lock(mutex_);
      log_.append(buffer, static_cast<std::size_t>(got));
    }
    close(from);
    ended_ = true;
  }

  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  bool waited_ = false;
  std::atomic<bool> ended_ = false;
  mutable std::mutex mutex_;
  std::string log_;
  std::thread reader_;
};

}  // namespace pagoda::soak

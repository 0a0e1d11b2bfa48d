// `pagoda pull` as a user meets it, killed and interrupted too. PAGODA_PROGRAM is the program's path.

#include <gmock/gmock.h>
#include <pty.h>
#include <sys/wait.h>

#include "stand_in_hub.h"

namespace pagoda::hub {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ProgramTest : public HubTest {
 protected:
  struct Outcome {
    int code = -1, signal = 0;
    std::string out, err;
  };
  struct Child {
    pid_t pid;
    std::string out, err;  // files
  };

  Child start(std::vector<std::string> arguments) {
    const std::string number = std::to_string(++children_);
    const Child child{0, scratch.path() + "/out" + number, scratch.path() + "/err" + number};
    hub.publish();
    const pid_t pid = ::fork();
    if (pid != 0) return {pid, child.out, child.err};
    ::dup2(::open(child.out.c_str(), O_WRONLY | O_CREAT, 0644), 1);
    ::dup2(::open(child.err.c_str(), O_WRONLY | O_CREAT, 0644), 2);
    execute(std::move(arguments));
  }
  [[noreturn]] static void execute(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), PAGODA_PROGRAM);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execv(PAGODA_PROGRAM, pointers.data());
    ::_exit(127);
  }
  Outcome wait(const Child& child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child.pid, &status, 0), child.pid);
    Outcome outcome;
    if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    outcome.out = read_all(child.out);
    outcome.err = read_all(child.err);
    return outcome;
  }
  std::vector<std::string> pull_arguments(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"pull", hub.repository, "--endpoint", hub.url(), "--cache", cache.path(),
                               "--min-free", "0"});
    return more;
  }
  Outcome run(std::vector<std::string> arguments) { return wait(start(std::move(arguments))); }
  // What the state files of the cache count.
  std::uint64_t kept_bytes() const {
    const std::string& content = hub.files.at("model.safetensors");
    const RemoteFile file{"model.safetensors", content.size(), {DigestKind::kSha256, sha256_hex(content)}};
    return PartFile::look(RepositoryCache(cache.path(), hub.repository).part_stem(file), file.bytes,
                          file.digest.hex)
        .bytes;
  }
  void wait_for_bytes(std::uint64_t bytes) {
    for (int i = 0; i < 1000 && kept_bytes() < bytes; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_GE(kept_bytes(), bytes);
  }
  std::string snapshot() const { return cache.path() + "/models/tencent/HY-test/" + hub.commit; }

  TemporaryDirectory scratch;

 private:
  int children_ = 0;
};

TEST_F(ProgramTest, PrintsTheDirectory) {
  hub.add_model(300 << 10);
  const Outcome outcome = run(pull_arguments());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, snapshot() + "\n");
  EXPECT_THAT(outcome.err, HasSubstr("3 files, 300.0 KiB; 300.0 KiB fetched in "));
  EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b"))) << "no control characters where stderr is no terminal";
  const Outcome again = run(pull_arguments());
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, HasSubstr("; 0.0 KiB fetched in "));
}

TEST_F(ProgramTest, GoesOnAfterKill) {
  hub.add_model(80 << 20);  // three pieces
  hub.chunk_delay_ms = 1;
  const Child child = start(pull_arguments());
  wait_for_bytes(8 << 20);
  ::kill(child.pid, SIGKILL);
  EXPECT_EQ(wait(child).signal, SIGKILL);
  const std::uint64_t kept = kept_bytes();
  EXPECT_LT(kept, 80u << 20) << "it was too fast to be killed";
  EXPECT_FALSE(is_in_cache());
  EXPECT_FALSE(std::filesystem::exists(snapshot() + "/model.safetensors"));
  hub.chunk_delay_ms = 0;
  hub.forget();
  const Outcome outcome = run(pull_arguments());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(hub.body_bytes(), (80u << 20) - kept);
  EXPECT_TRUE(read_all(snapshot() + "/model.safetensors") == hub.files["model.safetensors"]);
  EXPECT_TRUE(is_in_cache());
}

TEST_F(ProgramTest, InterruptsLeaveWhatTheNextPullGoesOnWith) {
  hub.add_model(20 << 20);
  hub.chunk_delay_ms = 3;
  for (const int signal : {SIGINT, SIGTERM}) {
    const Child child = start(pull_arguments());
    wait_for_bytes(kept_bytes() + (1 << 20));
    ::kill(child.pid, signal);
    const Outcome outcome = wait(child);
    EXPECT_EQ(outcome.code, 130) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("the same command goes on with it"));
  }
  const std::uint64_t kept = kept_bytes();
  hub.chunk_delay_ms = 0;
  hub.forget();
  EXPECT_EQ(run(pull_arguments()).code, 0);
  EXPECT_EQ(hub.body_bytes(), (20u << 20) - kept);
}

TEST_F(ProgramTest, TwoProcessesFetchOnce) {
  hub.add_model(4 << 20);
  hub.chunk_delay_ms = 2;
  const Child first = start(pull_arguments());
  wait_for_bytes(1);
  const Child second = start(pull_arguments());
  EXPECT_EQ(wait(first).code, 0);
  const Outcome outcome = wait(second);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, snapshot() + "\n");
  EXPECT_THAT(outcome.err, HasSubstr("another process is pulling into "));
  std::uint64_t total = 0;
  for (const auto& [path, content] : hub.files) total += content.size();
  EXPECT_EQ(hub.body_bytes(), total);
}

TEST_F(ProgramTest, ATerminalShowsOneLine) {
  hub.add_model(6 << 20);
  hub.chunk_delay_ms = 2;
  int terminal = -1;
  hub.publish();
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid == 0) execute(pull_arguments());
  std::string shown;
  char buffer[4096];
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof buffer)) > 0;)
    shown.append(buffer, static_cast<std::size_t>(got));
  ::close(terminal);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0) << shown;
  EXPECT_THAT(shown, ::testing::ContainsRegex("\r\x1b\\[K\\[#+\\.+\\] +[0-9]+ % 2/3 files, [0-9.]+ MiB of "
                                              "6.0 MiB, [0-9.]+ MiB/s, [0-9]+ s left"));
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 2) << shown;  // the summary and the directory
}

TEST_F(ProgramTest, ALogGetsAPlainLineNowAndThen) {
  hub.add_model(1 << 20);
  hub.chunk_delay_ms = 110;
  const Outcome outcome = run(pull_arguments());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              ::testing::ContainsRegex("tencent/HY-test: 2/3 files, [0-9.]+ KiB of 1.0 MiB, [0-9.]+ KiB/s, "
                                       "[0-9]+ s left\n"));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 2) << outcome.err;
}

TEST_F(ProgramTest, DryRunLists) {
  hub.add_model(300 << 10);
  const Outcome outcome = run(pull_arguments({"--dry-run"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("   300.0 KiB  model.safetensors\n"),
                                 HasSubstr("3 files of tencent/HY-test at " + hub.commit)));
  EXPECT_EQ(hub.body_bytes(), 0u);
}

TEST_F(ProgramTest, ErrorsAreOneSentenceAndACode) {
  hub.add_model(1000);
  const auto expect = [&](const std::vector<std::string>& arguments, int code, const std::string& words) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("pagoda: "), HasSubstr(words)));
    EXPECT_EQ(outcome.out, "");
  };
  expect({"pull", "nonsense"}, 2, "is not the name of a repository");
  expect({"pull", "a/b", "--endpoint", "nowhere"}, 2, "endpoint \"nowhere\"");
  expect({"pull", "a/b", "--endpoint", hub.url(), "--min-free", "much"}, 2, "\"much\" is not an amount");
  expect({"pull", "no/such", "--endpoint", hub.url(), "--cache", cache.path()}, 2, "knows no no/such");
  expect(
      {"pull", hub.repository, "--endpoint", hub.url(), "--cache", cache.path(), "--min-free", "100000TiB"},
      1, "needs 1.0 KiB more on the disk of");
  hub.required_token = "t";
  expect(pull_arguments(), 1, "(--token, or HF_TOKEN)");
}

TEST_F(ProgramTest, AModelIsUsedByItsName) {
  const std::string nano = PAGODA_SOURCE_DIR "/models/nano";
  for (const auto& entry : std::filesystem::directory_iterator(nano))
    if (entry.is_regular_file())
      hub.files[entry.path().filename().string()] = read_all(entry.path().string());
  hub.large = {"model.safetensors"};
  const std::vector<std::string> inspect = {"inspect", hub.repository, "--endpoint", hub.url(),
                                            "--cache", cache.path(),   "--min-free", "0"};
  const Outcome first = run(inspect);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("complete       yes"));
  EXPECT_THAT(first.err, HasSubstr("tencent/HY-test is neither a directory nor in " + cache.path() +
                                   "; pulling it from "));
  hub.forget();
  std::vector<std::string> translate = inspect;
  translate.erase(translate.begin(), translate.begin() + 2);
  translate.insert(translate.begin(),
                   {"translate", "--model", hub.repository, "--to", "fr", "--quiet", "hello"});
  const Outcome second = run(translate);
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_NE(second.out, "");
  EXPECT_EQ(second.err, "");
  EXPECT_TRUE(hub.seen().empty()) << "the cached copy needs no hub";
}

TEST_F(ProgramTest, ServeTakesANameAndPulls) {
  hub.add_model(1000);  // no model at all, but pulled before that is found out
  const Outcome outcome = run({"serve", hub.repository, "--port", "0", "--endpoint", hub.url(), "--cache",
                               cache.path(), "--min-free", "0"});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("tencent/HY-test is neither a directory nor in "));
  EXPECT_THAT(outcome.err, HasSubstr(snapshot() + "/config.json"));
  const Outcome absent = run({"serve", "no/model/here", "--port", "0"});
  EXPECT_EQ(absent.code, 2);
  EXPECT_THAT(absent.err, HasSubstr("no/model/here is not a directory"));
}

}  // namespace
}  // namespace pagoda::hub

#pragma once
// A hub for tests, on loopback: one repository in the layouts of Hugging Face and ModelScope, whose large
// files lie on a second server ("the CDN") behind a redirect. Faults are planted by name of the file and
// answered in order.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "hub/digest.h"
#include "hub/part_file.h"
#include "hub/pull.h"
#include "stand_in_server.h"

namespace pagoda::hub {

inline std::string random_bytes(std::size_t bytes, unsigned seed) {
  std::minstd_rand random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random() >> 8);
  return text;
}

inline std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "pagoda-hub-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no temporary directory";
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string git_sha1(const std::string& content) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/blob";
  std::ofstream(path, std::ios::binary) << content;
  const FileHandle file(::open(path.c_str(), O_RDONLY));
  const auto digest = digest_file(file.get(), content.size(), DigestKind::kGitSha1, [] { return false; });
  EXPECT_TRUE(digest.ok()) << digest.status().message();
  return digest->hex;
}

// How one answer goes wrong. Everything else about it stays right.
struct Fault {
  int status = 0;                      // answered instead, with `headers`
  std::string headers = {};            // lines with their ends
  std::int64_t cut_after = -1;         // bytes of the body; then the connection closes
  std::int64_t stall_after = -1;       // bytes of the body; then nothing more comes
  std::int64_t content_length_by = 0;  // added to what Content-Length says
  bool wrong_bytes = false;            // one of them
  bool ignore_range = false;           // 200 and everything
  bool wrong_range = false;            // 206 with a range that was not asked for
  bool extra_bytes = false;            // more than the file has
  bool late_bytes = false;             // after a complete answer, on a connection that stays open
  std::size_t times = 1;
};
inline constexpr std::size_t kAlways = 1u << 30;

class StandInHub {
 public:
  struct Seen {
    bool cdn;
    std::string target, range, authorization, cookie;
  };

  StandInHub()
      : cdn_([this](const auto& request, auto& socket) { return answer_cdn(request, socket); }),
        hub_([this](const auto& request, auto& socket) { return answer_hub(request, socket); }) {}
  // What the test has set is what the servers' threads see: where another process asks, nothing else orders
  // them. Each request takes the same lock first.
  void publish() { const std::lock_guard lock(mutex_); }

  std::string url() const { return hub_.url(); }
  std::string repository = "tencent/HY-test";
  std::string commit = "0123456789abcdef0123456789abcdef01234567";
  std::map<std::string, std::string> files;  // path to content
  std::set<std::string> large;               // with sha256, on the CDN
  std::size_t page_size = 1000;
  std::string list_override;           // sent instead of the list
  std::string required_token;          // 401 without it
  std::atomic<int> chunk_delay_ms{0};  // after each 16 KiB of a body

  void add_model(std::size_t weights_bytes) {
    files["config.json"] = R"({"model_type": "test"})";
    files["README.md"] = "# A model\n";
    files["model.safetensors"] = random_bytes(weights_bytes, 7);
    large = {"model.safetensors"};
  }
  // "list" stands for the file list; a large file's faults happen on the CDN, with "hub:" before it on the
  // hub.
  void plant(const std::string& name, const Fault& fault) {
    const std::lock_guard lock(mutex_);
    faults_[name].push_back(fault);
  }
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  std::size_t count(const std::string& part) const {
    std::size_t count = 0;
    for (const Seen& request : seen()) count += request.target.find(part) != std::string::npos;
    return count;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    seen_.clear();
    body_bytes_ = 0;
  }
  // Of files, as handed to the sockets.
  std::uint64_t body_bytes() const { return body_bytes_; }

  PullOptions options(const std::string& cache) const {
    PullOptions options;
    options.endpoint = url();
    options.cache = cache;
    options.piece_bytes = 64 << 10;
    options.connections = 4;
    options.min_free_bytes = 0;
    options.retry_delay = std::chrono::milliseconds(5);
    options.stall = std::chrono::seconds(1);
    return options;
  }

 private:
  using Request = StandInServer::Request;
  using Socket = StandInServer::Socket;

  Fault take_fault(const std::string& name) {
    const std::lock_guard lock(mutex_);
    auto& list = faults_[name];
    if (list.empty()) return {};
    const Fault fault = list.front();
    if (--list.front().times == 0) list.pop_front();
    return fault;
  }
  void note(bool cdn, const Request& request) {
    const std::lock_guard lock(mutex_);
    seen_.push_back({cdn, std::string(request.target()), std::string(request["Range"]),
                     std::string(request["Authorization"]), std::string(request["Cookie"])});
  }
  static bool reply(Socket& socket, int status, const std::string& headers, std::string_view body) {
    return StandInServer::write(socket, fmt::format("HTTP/1.1 {} X\r\n{}Content-Length: {}\r\n\r\n{}", status,
                                                    headers, body.size(), body));
  }
  static std::string decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      unsigned value = 0;
      if (text[i] == '%' && i + 2 < text.size()) {
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
        i += 2;
      }
      out += value != 0 ? static_cast<char>(value) : text[i];
    }
    return out;
  }

  bool answer_hub(const Request& request, Socket& socket) {
    note(false, request);
    const std::string target(request.target());
    const auto begins = [&](const std::string& prefix) { return target.starts_with(prefix); };
    if (!required_token.empty() && request["Authorization"] != "Bearer " + required_token)
      return reply(socket, 401, "", "no");
    const std::string api = "/api/models/" + repository,
                      scope = "/api/v1/models/" + repository + "/repo/files?";
    if (begins(api + "/revision/")) {
      const std::string revision = target.substr((api + "/revision/").size());
      if (revision != "main" && revision != commit)
        return reply(socket, 404, "X-Error-Code: RevisionNotFound\r\n", "");
      return reply(socket, 200, "", boost::json::serialize(boost::json::object{{"sha", commit}}));
    }
    if (begins(api + "/tree/" + commit) || begins(scope)) {
      const Fault fault = take_fault("list");
      if (fault.status != 0) return reply(socket, fault.status, fault.headers, "x");
      if (!list_override.empty()) return reply(socket, 200, "", list_override);
      return begins(scope) ? reply(socket, 200, "", modelscope_list()) : huggingface_list(target, socket);
    }
    for (const std::string& prefix :
         {"/" + repository + "/resolve/" + commit + "/", "/models/" + repository + "/resolve/master/"})
      if (begins(prefix)) return answer_file(decode(target.substr(prefix.size())), request, socket);
    return reply(socket, 404, "X-Error-Code: RepoNotFound\r\n", "nothing here");
  }

  bool answer_file(const std::string& path, const Request& request, Socket& socket) {
    if (!files.contains(path)) return reply(socket, 404, "X-Error-Code: EntryNotFound\r\n", "");
    if (!large.contains(path)) return send(take_fault(path), files.at(path), request, socket);
    const Fault fault = take_fault("hub:" + path);
    if (fault.status != 0) return reply(socket, fault.status, fault.headers, "x");
    return reply(socket, 302, fmt::format("Location: {}/blob/{}?signature=secret\r\n", cdn_.url(), path),
                 "moved");
  }

  bool answer_cdn(const Request& request, Socket& socket) {
    note(true, request);
    std::string path(request.target());
    path = decode(path.substr(0, path.find('?'))).substr(std::string("/blob/").size());
    return send(take_fault(path), files.at(path), request, socket);
  }

  bool send(const Fault& fault, const std::string& content, const Request& request, Socket& socket) {
    if (fault.status != 0) return reply(socket, fault.status, fault.headers, "x");
    std::size_t begin = 0, end = content.size();
    std::string range(request["Range"]);
    const bool ranged = !range.empty() && !fault.ignore_range;
    if (ranged) {
      const std::size_t dash = range.find('-');
      begin = std::stoull(range.substr(6, dash - 6));
      end = std::stoull(range.substr(dash + 1)) + 1;
      if (begin >= content.size()) return reply(socket, 416, "", "");
    }
    std::string body = content.substr(begin, end - begin);
    if (fault.wrong_bytes) body[body.size() / 2] = static_cast<char>(body[body.size() / 2] ^ 1);
    std::string head = ranged ? "HTTP/1.1 206 X\r\n" : "HTTP/1.1 200 X\r\n";
    if (ranged)
      head += fmt::format("Content-Range: bytes {}-{}/{}\r\n", begin + (fault.wrong_range ? 1 : 0),
                          begin + body.size() - 1, content.size());
    if (fault.extra_bytes) body += random_bytes(100, 1);
    head += fmt::format("Content-Length: {}\r\n\r\n",
                        static_cast<std::int64_t>(body.size()) + fault.content_length_by);
    if (!StandInServer::write(socket, head)) return false;
    for (std::size_t at = 0; at < body.size();) {
      std::size_t next = std::min<std::size_t>(at + (16 << 10), body.size());
      for (const std::int64_t limit : {fault.cut_after, fault.stall_after})
        if (limit >= 0) next = std::min<std::size_t>(next, static_cast<std::size_t>(limit));
      if (!StandInServer::write(socket, std::string_view(body).substr(at, next - at))) return false;
      body_bytes_ += next - at;
      at = next;
      if (fault.cut_after >= 0 && at == static_cast<std::size_t>(fault.cut_after)) return false;
      if (fault.stall_after >= 0 && at == static_cast<std::size_t>(fault.stall_after)) {
        // Until the other side has had enough.
        char byte;
        boost::system::error_code error;
        socket.read_some(boost::asio::buffer(&byte, 1), error);
        return false;
      }
      if (chunk_delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(chunk_delay_ms));
    }
    if (fault.late_bytes) {
      // By now the other side has its answer, and has sent the next request on this connection.
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return StandInServer::write(socket, "stray bytes\n");
    }
    return fault.content_length_by == 0;
  }

  bool huggingface_list(const std::string& target, Socket& socket) {
    std::size_t from = 0;
    if (const std::size_t at = target.find("cursor="); at != std::string::npos)
      from = std::stoul(target.substr(at + 7));
    boost::json::array list;
    std::size_t index = 0;
    for (const auto& [path, content] : files) {
      if (index++ < from || list.size() == page_size) continue;
      boost::json::object entry = {{"type", "file"}, {"path", path}, {"size", content.size()}};
      if (large.contains(path)) {
        entry["oid"] = std::string(40, '1');  // of the pointer, not of the content
        entry["lfs"] = {{"oid", sha256_hex(content)}, {"size", content.size()}, {"pointerSize", 134}};
      } else {
        entry["oid"] = git_sha1(content);
      }
      list.push_back(entry);
    }
    const std::size_t next = from + list.size();
    if (from == 0)
      list.push_back({{"type", "directory"}, {"path", "folder"}, {"size", 0}, {"oid", std::string(40, '2')}});
    std::string link;
    if (next < files.size())
      link = fmt::format("Link: <{}{}&cursor={}>; rel=\"next\"\r\n", url(),
                         target.substr(0, target.find("&cursor")), next);
    return reply(socket, 200, link, boost::json::serialize(list));
  }

  std::string modelscope_list() const {
    boost::json::array list = {{{"Type", "tree"}, {"Path", "folder"}, {"Size", 0}}};
    for (const auto& [path, content] : files)
      list.push_back(
          {{"Type", "blob"}, {"Path", path}, {"Size", content.size()}, {"Sha256", sha256_hex(content)}});
    return boost::json::serialize(boost::json::object{{"Code", 200}, {"Data", {{"Files", list}}}});
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::deque<Fault>> faults_;
  std::vector<Seen> seen_;
  std::atomic<std::uint64_t> body_bytes_{0};
  StandInServer cdn_, hub_;  // last: their threads use all of the above
};

// Nothing of the machine's own settings reaches the hub under test.
class HubTest : public ::testing::Test {
 protected:
  HubTest() {
    for (const char* variable :
         {"HF_TOKEN", "HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "MODELSCOPE_API_TOKEN", "PAGODA_CACHE"})
      ::unsetenv(variable);
    ::setenv("no_proxy", "*", 1);
  }
  PullOptions options() const { return hub.options(cache.path()); }
  PullObserver observer() {
    return {[this](const PullProgress& next) {
              EXPECT_LE(next.bytes_done, next.bytes_total);
              EXPECT_LE(next.files_done, next.files_total);
              progress = next;
            },
            [this](const std::string& text) { notices += text + "\n"; }};
  }
  base::Result<PullReport> pull_it() { return pull(hub.repository, options(), observer()); }
  base::Result<PullReport> pull_it(const PullOptions& options) {
    return pull(hub.repository, options, observer());
  }
  void expect_complete(const base::Result<PullReport>& report) {
    ASSERT_TRUE(report.ok()) << report.status().message() << "\n" << notices;
    for (const auto& [path, content] : hub.files) {
      if (!is_wanted(path)) continue;
      EXPECT_TRUE(read_all(report->directory + "/" + path) == content) << path << " differs";
    }
    const RepositoryCache in_cache(cache.path(), hub.repository);
    EXPECT_FALSE(std::filesystem::exists(in_cache.directory() + "/.pagoda/partial"));
  }
  bool is_in_cache() const {
    return RepositoryCache(cache.path(), hub.repository).find_complete(Hub::kHuggingFace, "main").has_value();
  }

  TemporaryDirectory cache;
  StandInHub hub;
  PullProgress progress;
  std::string notices;
};

}  // namespace pagoda::hub

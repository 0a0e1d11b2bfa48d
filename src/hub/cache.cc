#include "hub/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/mapped_file.h"

namespace pagoda::hub {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kMarker = "/.pagoda.json";
constexpr std::size_t kMaxMarkerBytes = 64 << 20;

bool is_file_of(const std::string& path, std::uint64_t bytes) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<std::uint64_t>(info.st_size) == bytes;
}

base::Status create(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return base::error(base::Code::kInternal, "cannot create {}: {}", directory.string(), error.message());
  return {};
}

std::string text_of(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr || !value->is_string() ? "" : std::string(value->get_string());
}

// The files of a snapshot's marker; nothing where it is absent or damaged, so that the snapshot counts as
// incomplete.
std::optional<std::vector<RemoteFile>> read_marker(const std::string& snapshot) {
  const auto text = base::read_file(snapshot + kMarker, kMaxMarkerBytes);
  if (!text.ok()) return std::nullopt;
  json::error_code error;
  const json::value root = json::parse(*text, error);
  if (error || !root.is_object()) return std::nullopt;
  const json::value* list = root.get_object().if_contains("files");
  if (list == nullptr || !list->is_array() || list->get_array().empty()) return std::nullopt;
  std::vector<RemoteFile> files;
  for (const json::value& entry : list->get_array()) {
    const json::value* bytes = entry.is_object() ? entry.get_object().if_contains("bytes") : nullptr;
    if (bytes == nullptr) return std::nullopt;
    const json::object& object = entry.get_object();
    const std::string sha256 = text_of(object, "sha256"), git = text_of(object, "git_sha1");
    RemoteFile file{text_of(object, "path"), bytes->to_number<std::uint64_t>(error), {}};
    if (!sha256.empty()) file.digest = {DigestKind::kSha256, sha256};
    if (!git.empty()) file.digest = {DigestKind::kGitSha1, git};
    if (error || !check_path(file.path).ok()) return std::nullopt;
    files.push_back(std::move(file));
  }
  return files;
}

// Whole or not at all, also for a reader at the same time.
base::Status write_whole(const std::string& path, const std::string& text) {
  const std::string next = path + ".new";
  const FileHandle file(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0 || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0 || ::rename(next.c_str(), path.c_str()) != 0)
    return base::error(base::Code::kInternal, "cannot write {}: {}", path, std::strerror(errno));
  return {};
}

}  // namespace

RepositoryCache::RepositoryCache(const std::string& cache, const std::string& repository)
    : directory_(cache + "/models/" + repository) {}

std::string RepositoryCache::part_stem(const RemoteFile& file) const {
  // By content and not by commit: when the branch moves on, a file that did not change is continued.
  const std::string name = file.digest.hex.empty() ? "unknown" : file.digest.hex;
  return directory_ + "/.pagoda/partial/" + name + "-" + sha256_hex(file.path).substr(0, 8);
}

std::string RepositoryCache::ref_path(Hub hub, const std::string& revision) const {
  std::string name = url_encode(revision);
  if (name.size() > 200) name = sha256_hex(revision);
  return fmt::format("{}/.pagoda/refs/{}/={}", directory_, hub_name(hub),
                     name);  // with '=' never "." or ".."
}

std::optional<std::string> RepositoryCache::find_complete(Hub hub, const std::string& revision) const {
  std::string commit;
  if (std::ifstream file(ref_path(hub, revision)); file) std::getline(file, commit);
  if (commit.empty() && is_hex(revision, 40)) commit = revision;
  if (commit.empty() || !check_path(commit).ok() || commit.find('/') != commit.npos) return std::nullopt;
  const auto files = read_marker(snapshot(commit));
  if (!files.has_value()) return std::nullopt;
  for (const RemoteFile& file : *files)
    if (!is_file_of(snapshot(commit) + "/" + file.path, file.bytes)) return std::nullopt;
  return snapshot(commit);
}

base::Result<std::optional<FileHandle>> RepositoryCache::try_lock() const {
  RETURN_IF_ERROR(create(directory_ + "/.pagoda/partial"));
  const std::string path = directory_ + "/.pagoda/lock";
  FileHandle lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0)
    return base::error(base::Code::kInternal, "cannot write {}: {}", path, std::strerror(errno));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return std::optional<FileHandle>(std::move(lock));
  if (errno == EWOULDBLOCK || errno == EINTR) return std::optional<FileHandle>();
  return base::error(base::Code::kInternal, "cannot lock {}: {}", path, std::strerror(errno));
}

std::map<std::string, std::string> RepositoryCache::contents() const {
  std::map<std::string, std::string> paths;
  std::error_code error;
  for (fs::directory_iterator entry(directory_, error), end; !error && entry != end; entry.increment(error)) {
    const auto files = read_marker(entry->path().string());
    if (!files.has_value()) continue;
    for (const RemoteFile& file : *files) {
      const std::string path = entry->path().string() + "/" + file.path;
      if (!file.digest.hex.empty() && is_file_of(path, file.bytes)) paths[file.digest.hex] = path;
    }
  }
  return paths;
}

bool RepositoryCache::have(const std::string& commit, const RemoteFile& file,
                           const std::map<std::string, std::string>& contents) const {
  const std::string path = snapshot(commit) + "/" + file.path;
  if (is_file_of(path, file.bytes)) return true;
  const auto same = contents.find(file.digest.hex);
  if (same == contents.end() || !is_file_of(same->second, file.bytes)) return false;
  ::unlink(path.c_str());  // a file of another size
  return prepare_directories(commit, file).ok() && ::link(same->second.c_str(), path.c_str()) == 0;
}

base::Status RepositoryCache::prepare_directories(const std::string& commit, const RemoteFile& file) const {
  return create(fs::path(snapshot(commit) + "/" + file.path).parent_path());
}

base::Status RepositoryCache::mark_complete(const PullOptions& options, const Listing& listing) const {
  json::array files;
  for (const RemoteFile& file : listing.files) {
    json::object entry = {{"path", file.path}, {"bytes", file.bytes}};
    if (file.digest.kind == DigestKind::kSha256) entry["sha256"] = file.digest.hex;
    if (file.digest.kind == DigestKind::kGitSha1) entry["git_sha1"] = file.digest.hex;
    files.push_back(std::move(entry));
  }
  const json::object marker = {{"repository", listing.repository},
                               {"hub", json::string(hub_name(options.hub))},
                               {"endpoint", printable_url(options.endpoint)},
                               {"revision", options.revision},
                               {"commit", listing.commit},
                               {"files", std::move(files)}};
  RETURN_IF_ERROR(write_whole(snapshot(listing.commit) + kMarker, json::serialize(marker) + "\n"));
  const std::string ref = ref_path(options.hub, options.revision);
  RETURN_IF_ERROR(create(fs::path(ref).parent_path()));
  RETURN_IF_ERROR(write_whole(ref, listing.commit + "\n"));
  // What lies there now belongs to revisions that nobody finished, and would never be looked at again.
  std::error_code ignored;
  fs::remove_all(directory_ + "/.pagoda/partial", ignored);
  return {};
}

base::Result<std::uint64_t> RepositoryCache::free_bytes() const {
  struct statvfs info;
  for (fs::path path = directory_;; path = path.parent_path()) {
    if (path.empty()) path = ".";
    if (::statvfs(path.c_str(), &info) == 0) return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    if (errno != ENOENT || path == path.parent_path() || path == ".")
      return base::error(base::Code::kInternal, "cannot ask {} for its free space: {}", path.string(),
                         std::strerror(errno));
  }
}

}  // namespace pagoda::hub

#include "hub/pull.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/byte_size.h"
#include "hub/cache.h"

namespace pagoda::hub {
namespace {

constexpr std::chrono::milliseconds kTick{100};
// A host that does not exist, or a machine without a network: nobody wants to wait a minute to hear of it.
constexpr int kUnreachableRetries = 2;

base::Status cancelled() { return base::error(base::Code::kCancelled, "stopped"); }

void tell(const PullObserver& observer, const std::string& text) {
  if (observer.notice) observer.notice(text);
}

base::Status check_name(const std::string& repository) {
  if (is_repository_name(repository)) return {};
  return base::invalid("\"{}\" is not the name of a repository: ORG/NAME, e.g. tencent/HY-MT1.5-1.8B",
                       repository);
}

base::Status wait(std::chrono::milliseconds delay, const PullOptions& options) {
  const auto end = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < end) {
    if (options.is_cancelled()) return cancelled();
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(kTick, end - std::chrono::steady_clock::now()));
  }
  return {};
}

base::Result<Listing> list_with_retries(const std::string& repository, const PullOptions& options,
                                        const PullObserver& observer) {
  HttpClient client(options, [&] { return options.is_cancelled(); });
  for (int failures = 0;; ++failures) {
    HttpReply reply;
    base::Result<Listing> listing = list_repository(client, options, repository, &reply);
    if (listing.ok()) return listing;
    if (options.is_cancelled()) return cancelled();
    const bool unreachable = reply.outcome == HttpReply::Outcome::kUnreachable;
    const auto asked = reply.retry_after.value_or(std::chrono::seconds(0));
    if (!worth_retrying(reply) || failures == options.retries ||
        (unreachable && failures == kUnreachableRetries) || asked > std::chrono::minutes(5))
      return listing;
    const auto delay = std::max<std::chrono::milliseconds>(retry_delay(options, failures), asked);
    tell(observer, fmt::format("{}; trying again in {:.1f} s", listing.status().message(),
                               std::chrono::duration<double>(delay).count()));
    RETURN_IF_ERROR(wait(delay, options));
  }
}

// Drops what the loader has no use for.
base::Status choose_files(const PullOptions& options, Listing* listing) {
  if (options.all_files) return {};
  const std::size_t all = listing->files.size();
  std::erase_if(listing->files, [](const RemoteFile& file) { return !is_wanted(file.path); });
  const auto has = [&](std::string_view needed) {
    return std::any_of(listing->files.begin(), listing->files.end(), [&](const RemoteFile& file) {
      return file.path == needed || (needed.front() == '.' && file.path.ends_with(needed));
    });
  };
  for (const char* needed : {"config.json", ".safetensors"})
    if (!has(needed))
      return base::error(
          base::Code::kNotFound,
          "{} has {} files but no {} in its top folder, so it is no model for Pagoda (--all pulls it "
          "nonetheless)",
          listing->repository, all, needed);
  return {};
}

base::Result<FileHandle> lock(const RepositoryCache& cache, const PullOptions& options,
                              const PullObserver& observer) {
  for (bool told = false;; told = true) {
    ASSIGN_OR_RETURN(std::optional<FileHandle> handle, cache.try_lock());
    if (handle.has_value()) return std::move(*handle);
    if (!told) tell(observer, "another process is pulling into " + cache.directory() + "; waiting for it");
    RETURN_IF_ERROR(wait(kTick, options));
  }
}

base::Status check_disk(const RepositoryCache& cache, const PullOptions& options, const Listing& listing,
                        const std::vector<bool>& done) {
  std::uint64_t needed = 0;
  for (std::size_t i = 0; i < listing.files.size(); ++i) {
    const RemoteFile& file = listing.files[i];
    if (!done[i])
      needed += file.bytes - PartFile::look(cache.part_stem(file), file.bytes, file.digest.hex).disk_bytes;
  }
  ASSIGN_OR_RETURN(const std::uint64_t free, cache.free_bytes());
  if (needed == 0 || (free >= options.min_free_bytes && free - options.min_free_bytes >= needed)) return {};
  return base::error(
      base::Code::kResourceExhausted,
      "{} needs {} more on the disk of {}, where {} are free and {} shall stay so (--min-free)",
      listing.repository, base::format_bytes(needed), cache.directory(), base::format_bytes(free),
      base::format_bytes(options.min_free_bytes));
}

}  // namespace

base::Result<Listing> list_files(const std::string& repository, const PullOptions& given,
                                 const PullObserver& observer) {
  RETURN_IF_ERROR(check_name(repository));
  ASSIGN_OR_RETURN(const PullOptions options, complete_options(given));
  ASSIGN_OR_RETURN(Listing listing, list_with_retries(repository, options, observer));
  RETURN_IF_ERROR(choose_files(options, &listing));
  return listing;
}

base::Result<PullReport> pull(const std::string& repository, const PullOptions& given,
                              const PullObserver& observer) {
  ASSIGN_OR_RETURN(const PullOptions options, complete_options(given));
  ASSIGN_OR_RETURN(const Listing listing, list_files(repository, options, observer));
  const RepositoryCache cache(options.cache, repository);
  PullReport report{cache.snapshot(listing.commit), listing.commit, listing.files.size(), 0, 0};
  ASSIGN_OR_RETURN(const FileHandle held, lock(cache, options, observer));
  const std::map<std::string, std::string> contents = cache.contents();
  std::vector<bool> done;
  for (const RemoteFile& file : listing.files) {
    done.push_back(cache.have(listing.commit, file, contents));
    report.bytes += file.bytes;
  }
  RETURN_IF_ERROR(check_disk(cache, options, listing, done));
  Download download(options, cache, listing);
  RETURN_IF_ERROR(download.run(done, observer));
  RETURN_IF_ERROR(cache.mark_complete(options, listing));
  report.fetched_bytes = download.fetched_bytes();
  return report;
}

base::Result<std::string> resolve_model(const std::string& name, const PullOptions& given,
                                        const PullObserver& observer) {
  std::error_code error;
  if (std::filesystem::is_directory(name, error)) return name;
  if (!is_repository_name(name)) return base::error(base::Code::kNotFound, "{} is not a directory", name);
  ASSIGN_OR_RETURN(const PullOptions options, complete_options(given));
  const RepositoryCache cache(options.cache, name);
  if (const auto found = cache.find_complete(options.hub, options.revision)) return *found;
  tell(observer, fmt::format("{} is neither a directory nor in {}; pulling it from {}", name, options.cache,
                             printable_url(options.endpoint)));
  ASSIGN_OR_RETURN(const PullReport report, pull(name, options, observer));
  return report.directory;
}

}  // namespace pagoda::hub

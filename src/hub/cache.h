#pragma once
// Where pulled repositories lie:
//   CACHE/models/ORG/NAME/COMMIT/...             a snapshot; complete if it has a .pagoda.json that lists its
//   files CACHE/models/ORG/NAME/.pagoda/refs/HUB/REV   the commit that a branch or tag stood for when it was
//   pulled CACHE/models/ORG/NAME/.pagoda/partial/       files on their way (hub/part_file.h)
//   CACHE/models/ORG/NAME/.pagoda/lock           held by the process that writes here
// Readers need no lock: a snapshot's files appear whole, by renaming, and .pagoda.json last.

#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "hub/file_list.h"
#include "hub/hub_api.h"
#include "hub/part_file.h"
#include "hub/pull_options.h"

namespace pagoda::hub {

class RepositoryCache {
 public:
  // `repository` is_repository_name(). Creates nothing.
  RepositoryCache(const std::string& cache, const std::string& repository);

  const std::string& directory() const { return directory_; }
  std::string snapshot(const std::string& commit) const { return directory_ + "/" + commit; }
  // Without its suffix (hub/part_file.h).
  std::string part_stem(const RemoteFile& file) const;

  // The directory of the snapshot that `revision` stands for, if it is complete: every file that it lists is
  // there in its size.
  std::optional<std::string> find_complete(Hub hub, const std::string& revision) const;

  // Creates the directories. The lock lasts as long as the handle; none if another process has it.
  base::Result<std::optional<FileHandle>> try_lock() const;

  // For the holder of the lock:
  // Files of complete snapshots, by the hex digits of their digest.
  std::map<std::string, std::string> contents() const;
  // Whether the snapshot's file is there already, or could be linked from `contents`.
  bool have(const std::string& commit, const RemoteFile& file,
            const std::map<std::string, std::string>& contents) const;
  base::Status prepare_directories(const std::string& commit, const RemoteFile& file) const;
  // Everything of `listing` is there: says so for good, lets `revision` stand for it, and drops partial
  // files.
  base::Status mark_complete(const PullOptions& options, const Listing& listing) const;

  // Bytes free for us on the cache's disk, which need not exist yet.
  base::Result<std::uint64_t> free_bytes() const;

 private:
  std::string ref_path(Hub hub, const std::string& revision) const;

  std::string directory_;
};

}  // namespace pagoda::hub

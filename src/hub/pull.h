#pragma once
// A repository of a hub becomes a directory of the cache: list, lock, disk space, download, digests, marker.
// Everything here may block for as long as the network does; `options.cancelled` ends it within a second or
// so and leaves a state that the next pull continues.

#include <string>

#include "base/status.h"
#include "hub/download.h"
#include "hub/hub_api.h"
#include "hub/pull_options.h"

namespace pagoda::hub {

struct PullReport {
  std::string directory;  // of the snapshot, complete
  std::string commit;
  std::size_t files = 0;
  std::uint64_t bytes = 0;          // of all files
  std::uint64_t fetched_bytes = 0;  // over the network, by this pull
};

// What pull() would fetch: the files of a revision, without those that the loader has no use for unless
// options.all_files. Changes nothing.
base::Result<Listing> list_files(const std::string& repository, const PullOptions& options,
                                 const PullObserver& observer);

base::Result<PullReport> pull(const std::string& repository, const PullOptions& options,
                              const PullObserver& observer);

// The directory of a model: `name` itself if it is one; else, for ORG/NAME, the complete copy in the cache,
// without asking the hub; else what pull() makes. kNotFound where `name` is neither a directory nor such a
// name.
base::Result<std::string> resolve_model(const std::string& name, const PullOptions& options,
                                        const PullObserver& observer);

}  // namespace pagoda::hub

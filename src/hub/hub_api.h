#pragma once
// The two hubs' dialects: where a list and a file are asked for, and what an answer that is no file means.

#include <string>
#include <vector>

#include "base/status.h"
#include "hub/file_list.h"
#include "hub/http_client.h"
#include "hub/pull_options.h"

namespace pagoda::hub {

// What a revision of a repository holds.
struct Listing {
  std::string repository;         // ORG/NAME
  std::string commit;             // names the snapshot's directory: hex digits, perhaps with a prefix
  std::vector<RemoteFile> files;  // in the hub's order
};

// Asks for the list, all its pages. A single attempt: `reply` is the last answer, for whoever decides on
// another.
base::Result<Listing> list_repository(HttpClient& client, const PullOptions& options,
                                      const std::string& repository, HttpReply* reply);

// Where a file's bytes are asked for.
std::string file_url(const PullOptions& options, const Listing& listing, const std::string& path);

// The sentence for an answer that was not what was asked for. `what` is what was: a path, or "the file list".
base::Status refusal(const HttpReply& reply, const PullOptions& options, const std::string& repository,
                     const std::string& what);

// Whether the same request may succeed later: cut, stalled, 408, 429, 5xx.
bool worth_retrying(const HttpReply& reply);

}  // namespace pagoda::hub

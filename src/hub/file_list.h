#pragma once
// What a hub says a repository holds, read from its answers. The answers are foreign bytes: every field is
// checked, and a path that would leave the target directory is refused. Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "hub/digest.h"

namespace pagoda::hub {

struct RemoteFile {
  std::string path;  // relative, '/' between its parts; check_path() holds
  std::uint64_t bytes = 0;
  Digest digest;

  bool operator==(const RemoteFile&) const = default;
};

// One page of GET /api/models/REPO/tree/REVISION?recursive=true.
base::Result<std::vector<RemoteFile>> parse_huggingface_tree(std::string_view json);
// The commit in GET /api/models/REPO/revision/REVISION: 40 hex digits.
base::Result<std::string> parse_huggingface_commit(std::string_view json);
// GET /api/v1/models/REPO/repo/files?Recursive=true.
base::Result<std::vector<RemoteFile>> parse_modelscope_files(std::string_view json);

// The target of rel="next" in a Link header; empty if there is none.
std::string next_page(std::string_view link);

// Refuses what is not a plain relative path: "..", ".", empty parts, '\', control characters, a leading '/',
// more than 512 bytes, and the names that the cache needs itself.
base::Status check_path(std::string_view path);
// No path twice, and no file that is also another one's directory.
base::Status check_paths(const std::vector<RemoteFile>& files);

// What the loader needs, and the documents: weights in safetensors, configuration, tokenizer, licence,
// readme; in the top folder alone, because the loader looks nowhere else.
bool is_wanted(std::string_view path);

}  // namespace pagoda::hub

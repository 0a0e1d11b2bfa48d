#include "cli/data_directory.h"

#include <cstdlib>

namespace pagoda::cli {

std::string default_data_directory() {
  // The standard says that a relative path counts as not set.
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/')
    return std::string(data) + "/pagoda";
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? std::string(home) + "/.local/share/pagoda" : "";
}

base::Result<std::unique_ptr<serve::Database>> open_data(const std::string& directory) {
  if (!directory.empty()) return serve::Database::open(directory);
  const std::string usual = default_data_directory();
  if (usual.empty()) {
    fmt::print(stderr, "warning: no home directory; glossaries are kept in memory (--data)\n");
    return serve::Database::in_memory();
  }
  auto opened = serve::Database::open(usual);
  if (opened.ok() || opened.status().code() != base::Code::kInvalidArgument) return opened;
  fmt::print(stderr, "warning: {}; glossaries are kept in memory (--data)\n", opened.status().message());
  return serve::Database::in_memory();
}

}  // namespace pagoda::cli

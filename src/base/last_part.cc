#include "base/last_part.h"

#include <filesystem>

namespace pagoda::base {

std::string last_part(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace pagoda::base

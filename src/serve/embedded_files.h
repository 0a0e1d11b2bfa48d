#pragma once
// The files of web/, as they were when the program was built (cmake/embed_files.cmake).

#include <cstddef>
#include <string_view>
#include <vector>

namespace pagoda::serve {

struct EmbeddedFile {
  std::string_view path;  // relative to web/: "app.js"
  const char *begin, *end;
  std::string_view bytes() const { return {begin, static_cast<std::size_t>(end - begin)}; }
};
std::vector<EmbeddedFile> embedded_files();

}  // namespace pagoda::serve

#pragma once
// The repository's own files as the project_*_test.cc read them. Paths are relative to the repository, with
// '/'.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace pagoda::source_tree {

// What a rule found: printed as file:line, so that editors and terminals can jump there.
struct Finding {
  std::string path;
  int line = 0;  // from 1
  std::string what;
};

inline std::string to_string(const std::vector<Finding>& findings) {
  std::ostringstream out;
  for (const Finding& f : findings) out << f.path << ":" << f.line << ": " << f.what << "\n";
  return out.str();
}

inline std::filesystem::path root() { return PAGODA_SOURCE_DIR; }

inline std::string read(const std::string& path) {
  std::ifstream in(root() / path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Regular files under `folder`, sorted; empty where the folder does not exist (yet).
inline std::vector<std::string> files_under(const std::string& folder) {
  std::vector<std::string> files;
  const std::filesystem::path top = root() / folder;
  if (!std::filesystem::is_directory(top)) return files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
    if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(root()).generic_string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

inline bool is_cpp(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  return extension == ".h" || extension == ".cc" || extension == ".cu" || extension == ".cuh";
}

}  // namespace pagoda::source_tree

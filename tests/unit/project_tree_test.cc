// What the repository may hold: not too many bytes, no paths of somebody's machine, no open ends in shipped
// code.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <regex>
#include <string>
#include <system_error>
#include <vector>

#include "source_tree.h"

namespace pagoda {
namespace {

using source_tree::Finding;

// Paths that git tracks; empty where there is no git or no repository (a source archive).
std::vector<std::string> tracked_files() {
  const std::string command =
      "git -c safe.directory='*' -C '" + source_tree::root().string() + "' ls-files -z 2>/dev/null";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::vector<std::string> paths(1);
  for (int c; (c = std::fgetc(pipe)) != EOF;) {
    if (c == '\0') {
      paths.emplace_back();
    } else {
      paths.back() += static_cast<char>(c);
    }
  }
  pclose(pipe);
  paths.pop_back();
  return paths;
}

std::vector<Finding> find_pattern(const std::string& path, const std::string& text, const std::regex& pattern,
                                  const std::string& what) {
  std::vector<Finding> findings;
  int number = 0;
  for (const std::string& line : source_tree::lines_of(text)) {
    ++number;
    std::smatch match;
    if (std::regex_search(line, match, pattern))
      findings.push_back({path, number, match.str() + ": " + what});
  }
  return findings;
}

// Word by word below, so that this file does not hold what it looks for.
const std::regex& home_paths() {
  // Only where a path begins: a folder of that name deeper in the tree is nobody's machine.
  static const std::regex pattern(std::string("(^|[^A-Za-z0-9_.*}-])/(wo") + "rk|ro" + "ot|ho" +
                                  "me/[a-z]+)/");
  return pattern;
}
const std::regex& temporary_paths() {
  static const std::regex pattern(std::string("/t") + "mp/");
  return pattern;
}
const std::regex& open_ends() {
  static const std::regex pattern(std::string("\\b(TO") + "DO|FIX" + "ME|X" + "XX|HA" + "CK)\\b");
  return pattern;
}

std::vector<Finding> find_in_folders(const std::vector<std::string>& folders, const std::regex& pattern,
                                     const std::string& what) {
  std::vector<Finding> findings;
  for (const std::string& folder : folders) {
    for (const std::string& path : source_tree::files_under(folder)) {
      const std::string text = source_tree::read(path);
      if (text.find('\0') != std::string::npos) continue;  // binary
      const auto more = find_pattern(path, text, pattern, what);
      findings.insert(findings.end(), more.begin(), more.end());
    }
  }
  return findings;
}

TEST(Tree, TrackedFilesStayUnder48MiB) {
  // Most of it is models/nano. What is cloned by everybody has to stay small.
  constexpr std::uintmax_t kMaxBytes = 48ull << 20;
  const std::vector<std::string> paths = tracked_files();
  if (paths.empty()) GTEST_SKIP() << "git tracks nothing in " << source_tree::root();
  std::uintmax_t bytes = 0, largest = 0;
  std::string largest_path;
  for (const std::string& path : paths) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(source_tree::root() / path, error);
    if (error) continue;  // deleted in the working tree, or a link that leads nowhere
    bytes += size;
    if (size > largest) {
      largest = size;
      largest_path = path;
    }
  }
  EXPECT_LE(bytes, kMaxBytes) << "the largest file is " << largest_path << " with " << largest << " bytes";
}

TEST(Tree, NamesNoMachinePaths) {
  const auto findings =
      find_in_folders({"src", "docs", "tests", "bench", "scripts", "cmake", "web", "deploy"}, home_paths(),
                      "a path of somebody's machine");
  EXPECT_TRUE(findings.empty()) << source_tree::to_string(findings);
  // Examples in docs/ may write to a temporary folder; code asks the system where that is.
  const auto temporary = find_in_folders({"src"}, temporary_paths(), "a fixed temporary folder");
  EXPECT_TRUE(temporary.empty()) << source_tree::to_string(temporary);
}

TEST(Tree, LeavesNoOpenEnds) {
  const auto findings =
      find_in_folders({"src", "web", "apps"}, open_ends(), "finish it, or say in docs/ what is not there");
  EXPECT_TRUE(findings.empty()) << source_tree::to_string(findings);
}

TEST(Tree, FindsWhatIsPlanted) {
  const std::string marker = std::string("TO") + "DO";
  const auto findings =
      find_pattern("src/a.cc", "int a;\nint b;  // " + marker + ": c\n", open_ends(), "open");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(source_tree::to_string(findings), "src/a.cc:2: " + marker + ": open\n");
  EXPECT_TRUE(find_pattern("src/a.cc", "kTodoList; hackathon\n", open_ends(), "open").empty());
  EXPECT_EQ(find_pattern("docs/a.md", std::string("see /ro") + "ot/x\n", home_paths(), "path").size(), 1u);
  EXPECT_TRUE(find_pattern("docs/a.md",
                           "network/rooted\nbuild/ro"
                           "ot/x\n",
                           home_paths(), "path")
                  .empty());
}

}  // namespace
}  // namespace pagoda

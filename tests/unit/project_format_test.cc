// The tree is formatted with clang-format 14 and .clang-format. scripts/format.sh mends what this finds.

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <utility>

#include "source_tree.h"

namespace pagoda {
namespace {

// Exit code and everything the command printed.
std::pair<int, std::string> run(const std::string& command) {
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  std::string output;
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  return {pclose(pipe), output};
}

TEST(Format, ClangFormat14ChangesNothing) {
  if (run("clang-format-14 --version").first != 0) GTEST_SKIP() << "clang-format-14 is not installed";
  std::string arguments;
  for (const char* folder : {"src", "tests", "bench"}) {
    for (const std::string& path : source_tree::files_under(folder)) {
      if (source_tree::is_cpp(path) && !path.starts_with("tests/data/")) arguments += " '" + path + "'";
    }
  }
  ASSERT_FALSE(arguments.empty());
  // Through xargs: a tree that grows never meets the limit of one command line.
  const auto [code, output] = run("cd '" + source_tree::root().string() + "' && printf '%s\\n'" + arguments +
                                  " | xargs clang-format-14 --dry-run -Werror --style=file");
  constexpr std::size_t kShown = 6000;
  EXPECT_EQ(code, 0) << output.substr(0, kShown) << "\nscripts/format.sh mends this";
}

}  // namespace
}  // namespace pagoda

// Holds src/ to the arrows of ARCHITECTURE.md: who may include and link whom, where CUDA and sockets may
// appear, and how files are named, begun and how long they may be. The rules are functions of (path, text),
// so that the tests below can plant a violation and see it found.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "source_tree.h"

namespace pagoda {
namespace {

using source_tree::Finding;
using ::testing::HasSubstr;

// Each folder with what it may include besides itself, lowest first: a folder names only folders above it in
// this list, so the graph cannot have a cycle. cli may include everything.
const std::vector<std::pair<std::string, std::set<std::string>>>& arrows() {
  static const std::vector<std::pair<std::string, std::set<std::string>>> table = {
      {"base", {}},
      {"hub", {"base"}},
      {"tensor", {"base"}},
      {"text", {"base"}},
      {"cache", {"base"}},
      {"schedule", {"cache", "base"}},
      {"checkpoint", {"tensor", "base"}},
      {"kernels", {"tensor", "base"}},
      {"model", {"kernels", "checkpoint", "tensor", "base"}},
      {"quantize", {"checkpoint", "model", "kernels", "tensor", "base"}},
      // schedule: the plan of a step is the interface between who runs and how it is computed.
      {"execute", {"model", "kernels", "checkpoint", "tensor", "schedule", "cache", "base"}},
      {"engine",
       {"schedule", "cache", "execute", "model", "checkpoint", "text", "base", "tensor", "kernels"}},
      {"translate", {"engine", "text", "base"}},
      {"serve", {"translate", "engine", "text", "base"}},
      // The other end of the wire: it shares no code with the server that it measures.
      {"load", {"base"}},
      {"evaluate", {"translate", "engine", "text", "base"}},
      {"cli",
       {"base", "tensor", "text", "cache", "schedule", "checkpoint", "kernels", "model", "quantize",
        "execute", "engine", "translate", "serve", "hub", "load", "evaluate"}},
  };
  return table;
}

// The folder of the network is one library in parts, which have arrows of their own, lowest first; "serve"
// are the files that lie in none of its parts.
const std::vector<std::pair<std::string, std::set<std::string>>>& parts_of_serve() {
  static const std::vector<std::pair<std::string, std::set<std::string>>> table = {
      {"serve/http", {}},
      {"serve/storage", {}},
      {"serve", {"serve/http"}},
      {"serve/openai", {"serve", "serve/http"}},
      {"serve/dialects", {"serve", "serve/http", "serve/storage"}},
  };
  return table;
}

// "serve/http/router.h" -> "serve/http"; empty for what is not of serve.
std::string part_of_serve(std::string_view path) {
  if (!path.starts_with("serve/")) return "";
  return std::string(path.substr(0, path.rfind('/')));
}

std::string broken_part_rule(std::string_view path, std::string_view header) {
  const std::string from = part_of_serve(path.substr(std::string_view("src/").size()));
  const std::string to = part_of_serve(header);
  if (from.empty() || to.empty()) return "";
  for (const auto& [name, allowed] : parts_of_serve()) {
    if (name == from) return to == from || allowed.contains(to) ? "" : from + " may not include " + to;
  }
  return from + " is no part of serve that the table of parts knows";
}

const std::set<std::string>* allowed_for(std::string_view folder) {
  for (const auto& [name, allowed] : arrows()) {
    if (name == folder) return &allowed;
  }
  return nullptr;
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](auto prefix) { return text.starts_with(prefix); });
}

bool is_cuda_header(std::string_view header) {
  return starts_with_any(header,
                         {"cuda", "cublas", "cudnn", "nccl", "nvtx", "nvml", "curand", "cooperative_groups",
                          "cub/", "cute/", "cutlass/", "thrust/", "mma.h", "device_launch_parameters"}) ||
         header.ends_with(".cuh");
}

std::string first_component(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

// "src/cache/block_pool.h" -> "cache"; empty for files that lie directly in src/.
std::string folder_of(std::string_view path) {
  path.remove_prefix(std::string_view("src/").size());
  return path.find('/') == std::string_view::npos ? "" : first_component(path);
}

std::string broken_rule(const std::string& path, const std::string& header, bool quoted) {
  const std::string folder = folder_of(path);
  const std::string target = first_component(header);
  if (is_cuda_header(header) &&
      !starts_with_any(path, {"src/tensor/", "src/kernels/cuda/", "src/execute/"})) {
    return "CUDA headers belong in tensor/, kernels/cuda/ and execute/";
  }
  if (starts_with_any(header, {"boost/asio", "boost/beast"}) && folder != "serve" && folder != "load" &&
      folder != "cli") {
    return "sockets (boost/asio, boost/beast) belong in serve/, load/ and cli/";
  }
  if (starts_with_any(path, {"src/kernels/cpu/"}) && header.starts_with("kernels/cuda/")) {
    return "kernels/cpu and kernels/cuda never include each other";
  }
  if (starts_with_any(path, {"src/kernels/cuda/"}) && header.starts_with("kernels/cpu/")) {
    return "kernels/cpu and kernels/cuda never include each other";
  }
  const bool ours = allowed_for(target) != nullptr && header.find('/') != std::string::npos;
  if (ours && !quoted) return "our own headers are included in quotes";
  if (quoted && !ours) return "quotes are for full paths from src/; other headers take <>";
  if (ours && target != folder && !allowed_for(folder)->contains(target)) {
    return folder + " may not include " + target;
  }
  return broken_part_rule(path, header);
}

std::vector<Finding> check_includes(const std::string& path, const std::string& text) {
  static const std::regex include(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::vector<Finding> findings;
  if (allowed_for(folder_of(path)) == nullptr) {
    findings.push_back({path, 1, "lies in no folder that the table of arrows knows"});
    return findings;
  }
  int number = 0;
  for (const std::string& line : source_tree::lines_of(text)) {
    ++number;
    std::smatch match;
    if (!std::regex_search(line, match, include)) continue;
    const std::string rule = broken_rule(path, match[2], match[1] == "\"");
    if (!rule.empty()) findings.push_back({path, number, "#include " + match[2].str() + ": " + rule});
  }
  return findings;
}

// The libraries a folder links (pagoda_library(... DEPS a b)) go along the same arrows.
std::vector<Finding> check_links(const std::string& path, const std::string& text) {
  static const std::set<std::string> keywords = {"SOURCES", "LIBS", "DEPS"};
  static const std::regex word(R"([A-Za-z_0-9./:${}]+|\))");
  std::vector<Finding> findings;
  const std::set<std::string>* allowed = allowed_for(folder_of(path));
  if (allowed == nullptr) return findings;  // src/CMakeLists.txt
  bool in_deps = false;
  int number = 0;
  for (std::string line : source_tree::lines_of(text)) {
    ++number;
    line = line.substr(0, line.find('#'));
    for (std::sregex_iterator it(line.begin(), line.end(), word), end; it != end; ++it) {
      const std::string token = it->str();
      if (token == ")" || keywords.contains(token)) {
        in_deps = token == "DEPS";
        continue;
      }
      const std::string folder = token.substr(0, token.find('_'));  // kernels_cpu is a part of kernels
      if (in_deps && folder != folder_of(path) && !allowed->contains(folder)) {
        findings.push_back({path, number, folder_of(path) + " may not link " + token});
      }
    }
  }
  return findings;
}

std::vector<Finding> check_name(const std::string& path) {
  static const std::regex file_name(R"([a-z0-9]+(_[a-z0-9]+)*\.(h|cc|cu|cuh))");
  static const std::regex vague(R"((^|[/_])(utils?|common|helpers?|managers?|impl|misc)([/_.]|$))");
  std::vector<Finding> findings;
  const std::string name = std::filesystem::path(path).filename().string();
  if (name != "CMakeLists.txt" && name != "README.md" && !std::regex_match(name, file_name)) {
    findings.push_back({path, 1, "file names are snake_case with .h, .cc, .cu or .cuh"});
  }
  if (std::regex_search(path, vague))
    findings.push_back({path, 1, "the name says nothing: name what it does"});
  return findings;
}

std::vector<Finding> check_shape(const std::string& path, const std::string& text) {
  constexpr std::size_t kMaxLines = 450;
  std::vector<Finding> findings;
  const std::vector<std::string> lines = source_tree::lines_of(text);
  if (lines.size() > kMaxLines) {
    findings.push_back(
        {path, static_cast<int>(lines.size()), "more than 450 lines: it holds more than one idea"});
  }
  if (!path.ends_with(".h") && !path.ends_with(".cuh")) return findings;
  if (lines.empty() || lines[0] != "#pragma once")
    findings.push_back({path, 1, "a header begins with #pragma once"});
  std::size_t next = 1;
  while (next < lines.size() && lines[next].empty()) ++next;
  if (next >= lines.size() || !starts_with_any(lines[next], {"//", "/*"})) {
    findings.push_back(
        {path, 2, "after #pragma once comes a comment: what it is, who owns it, which thread may call"});
  }
  return findings;
}

std::vector<Finding> check_everything() {
  std::vector<Finding> findings;
  const auto add = [&](std::vector<Finding> more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };
  for (const std::string& path : source_tree::files_under("src")) {
    add(check_name(path));
    const std::string text = source_tree::read(path);
    if (path.ends_with("/CMakeLists.txt")) add(check_links(path, text));
    if (!source_tree::is_cpp(path)) continue;
    add(check_includes(path, text));
    add(check_shape(path, text));
  }
  return findings;
}

TEST(IncludeRules, HoldInSrc) {
  ASSERT_FALSE(source_tree::files_under("src").empty()) << "nothing found under " << source_tree::root();
  const std::vector<Finding> findings = check_everything();
  EXPECT_TRUE(findings.empty()) << source_tree::to_string(findings);
}

TEST(IncludeRules, ArrowsPointDown) {
  for (const auto* table : {&arrows(), &parts_of_serve()}) {
    std::set<std::string> below;
    for (const auto& [name, allowed] : *table) {
      for (const std::string& target : allowed)
        EXPECT_TRUE(below.contains(target)) << name << " -> " << target;
      below.insert(name);
    }
  }
}

TEST(IncludeRules, FindsAPlantedUpwardInclude) {
  const auto findings = check_includes("src/cache/block_pool.cc",
                                       "#include \"cache/block_pool.h\"\n\n#include \"base/check.h\"\n"
                                       "#include \"tensor/memory.h\"\n");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].line, 4);
  EXPECT_THAT(source_tree::to_string(findings), HasSubstr("src/cache/block_pool.cc:4: "));
  EXPECT_THAT(findings[0].what, HasSubstr("cache may not include tensor"));
}

TEST(IncludeRules, FindsEachKindOfBadInclude) {
  const struct {
    const char* path;
    const char* line;
    bool fine;
  } cases[] = {
      {"src/schedule/a.h", "#include <cuda_runtime.h>", false},
      {"src/model/a.cc", "#include <cublasLt.h>", false},
      {"src/tensor/a.cc", "#include <cuda_runtime.h>", true},
      {"src/kernels/cuda/a.cu", "#include <mma.h>", true},
      {"src/kernels/cpu/a.cc", "#include \"kernels/cuda/a.h\"", false},
      {"src/kernels/cuda/a.cu", "  #  include \"kernels/cpu/a.h\"", false},
      {"src/kernels/cpu/a.cc", "#include \"kernels/ops.h\"", true},
      {"src/engine/a.cc", "#include <boost/asio.hpp>", false},
      {"src/serve/a.cc", "#include <boost/asio/ip/tcp.hpp>", true},
      {"src/load/a.cc", "#include <boost/asio/ip/tcp.hpp>", true},
      {"src/load/a.cc", "#include \"serve/http/session.h\"", false},
      {"src/serve/http/a.cc", "#include \"serve/http/router.h\"", true},
      {"src/serve/http/a.cc", "#include \"serve/service.h\"", false},
      {"src/serve/a.cc", "#include \"serve/http/router.h\"", true},
      {"src/serve/a.cc", "#include \"serve/openai/routes.h\"", false},
      {"src/serve/openai/a.cc", "#include \"serve/dialects/dialect.h\"", false},
      {"src/serve/dialects/a.cc", "#include \"serve/storage/database.h\"", true},
      {"src/serve/new/a.cc", "#include \"serve/http/router.h\"", false},
      {"src/cli/a.cc", "#include \"serve/openai/routes.h\"", true},
      {"src/checkpoint/a.cc", "#include <boost/json.hpp>", true},
      {"src/cache/a.cc", "#include \"block_pool.h\"", false},
      {"src/cache/a.cc", "#include <base/check.h>", false},
      {"src/cache/a.cc", "#include \"fmt/core.h\"", false},
      {"src/cache/a.cc", "#include <vector>", true},
      {"src/model/a.cc", "#include \"checkpoint/checkpoint.h\"", true},
      {"src/checkpoint/a.cc", "#include \"model/dense.h\"", false},
      {"src/unknown/a.cc", "", false},
      {"src/cli/a.cc", "#include \"quantize/int8.h\"", true},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(check_includes(c.path, std::string(c.line) + "\n").empty(), c.fine) << c.path << ": " << c.line;
  }
}

TEST(IncludeRules, FindsABadLink) {
  EXPECT_TRUE(check_links("src/schedule/CMakeLists.txt",
                          "pagoda_library(schedule SOURCES scheduler.cc DEPS cache base LIBS fmt::fmt)\n")
                  .empty());
  const auto findings =
      check_links("src/schedule/CMakeLists.txt",
                  "# DEPS in a comment: serve\npagoda_library(schedule SOURCES scheduler.cc\n"
                  "  DEPS cache kernels_cpu\n  LIBS fmt::fmt)\n");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].line, 3);
  EXPECT_THAT(findings[0].what, HasSubstr("schedule may not link kernels_cpu"));
}

TEST(IncludeRules, FindsBadNamesAndShapes) {
  EXPECT_TRUE(check_name("src/cache/block_pool.h").empty());
  EXPECT_TRUE(check_name("src/model/uncommon_case.h").empty());
  for (const char* path : {"src/cache/BlockPool.h", "src/cache/pool.hpp", "src/base/string_utils.h",
                           "src/common/status.h", "src/cache/pool_manager.cc", "src/cache/helper/a.h"}) {
    EXPECT_FALSE(check_name(path).empty()) << path;
  }
  EXPECT_TRUE(check_shape("src/cache/a.h", "#pragma once\n// What it is.\n").empty());
  EXPECT_TRUE(check_shape("src/cache/a.cc", "#include \"cache/a.h\"\n").empty());
  EXPECT_FALSE(check_shape("src/cache/a.h", "// What it is.\n#pragma once\n").empty());
  EXPECT_FALSE(check_shape("src/cache/a.h", "#pragma once\n\n#include <vector>\n").empty());
  std::string text;
  for (int i = 0; i < 450; ++i) text += "\n";
  EXPECT_TRUE(check_shape("src/cache/a.cc", text).empty());
  EXPECT_FALSE(check_shape("src/cache/a.cc", text + "\n").empty());
}

}  // namespace
}  // namespace pagoda

#pragma once
// The program as a user meets it: runs the built binary (PAGODA_PROGRAM is its path) on the bundled model, in
// a folder of its own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace pagoda {

namespace fs = std::filesystem;

inline const std::string kNano = PAGODA_SOURCE_DIR "/models/nano";

inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::string quoted(const std::string& argument) {
  std::string text = "'";
  for (const char c : argument) {
    if (c == '\'')
      text += "'\\''";
    else
      text += c;
  }
  text += '\'';
  return text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class CliProgramTest : public ::testing::Test {
 protected:
  struct Outcome {
    int code = -1;
    std::string out, err;
  };

  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "cli_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  Outcome run(const std::vector<std::string>& arguments, const std::string& in = "") const {
    std::ofstream(directory_ / "stdin", std::ios::binary) << in;
    std::ostringstream command;
    command << "cd " << quoted(directory_) << " && PAGODA_MODEL=" << quoted(kNano) << " "
            << quoted(PAGODA_PROGRAM);
    for (const std::string& argument : arguments) command << " " << quoted(argument);
    command << " < stdin > stdout 2> stderr";
    const int status = std::system(command.str().c_str());
    Outcome outcome;
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.out = read_file(directory_ / "stdout");
    outcome.err = read_file(directory_ / "stderr");
    return outcome;
  }
  // Exit code 2 and one line on stderr that holds all words.
  void expect_refused(const Outcome& outcome, const std::vector<std::string>& words) const {
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, ::testing::StartsWith("pagoda: "));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& word : words) EXPECT_THAT(outcome.err, ::testing::HasSubstr(word));
  }
  std::string put(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return (directory_ / name).string();
  }

  fs::path directory_;
};

}  // namespace pagoda

#include "load/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

namespace pagoda::load {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LinesFile {
 public:
  explicit LinesFile(std::string_view text) : path_(::testing::TempDir() + "load_prompts_lines.txt") {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~LinesFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::size_t words_in(const std::string& text) { return std::count(text.begin(), text.end(), ' ') + 1; }

TEST(LoadPrompts, LinesOfAFile) {
  const LinesFile file("one\r\n\n  \ntwo words\nlast");
  EXPECT_THAT(read_lines(file.path()).value(), ElementsAre("one", "two words", "last"));
}

TEST(LoadPrompts, AFileWithoutLinesIsNone) {
  const LinesFile file("\n \n");
  EXPECT_EQ(read_lines(file.path()).status().code(), base::Code::kInvalidArgument);
  EXPECT_EQ(read_lines(file.path() + ".not").status().code(), base::Code::kNotFound);
  EXPECT_FALSE(read_lines(::testing::TempDir()).ok());
}

TEST(LoadPrompts, Templates) {
  EXPECT_EQ(fill_template("Say: {text}", "hi").value(), "Say: hi");
  EXPECT_EQ(fill_template("{text} or {text}!", "{text}").value(), "{text} or {text}!");
  EXPECT_THAT(fill_template("Say: {txt}", "hi").status().message(), HasSubstr("{text}"));
}

TEST(LoadPrompts, FitOfTokens) {
  const TokenFit fit = fit_tokens(16, 31, 80, 127).value();  // 7 of the template, 1.5 a word
  EXPECT_DOUBLE_EQ(fit.per_word, 1.5);
  EXPECT_DOUBLE_EQ(fit.fixed, 7);
  EXPECT_EQ(fit.words_for(127), 80u);
  EXPECT_EQ(fit.words_for(3), 1u);
  EXPECT_EQ(fit_tokens(16, 0, 80, 0).status().code(), base::Code::kFailedPrecondition);
  EXPECT_FALSE(fit_tokens(16, 90, 80, 20).ok());
  EXPECT_FALSE(fit_tokens(16, 16, 16, 90).ok());
}

TEST(LoadPrompts, RandomPromptsAreTheSameForASeedAndDifferBetweenEachOther) {
  RandomPrompts a(1), b(1), c(2);
  const RandomLengths lengths;
  std::set<std::string> beginnings;
  for (int i = 0; i < 50; ++i) {
    const Prompt prompt = a.draw(lengths, {});
    EXPECT_EQ(prompt.text, b.draw(lengths, {}).text);
    EXPECT_NE(prompt.text, c.draw(lengths, {}).text);
    beginnings.insert(prompt.text.substr(0, 40));
  }
  EXPECT_EQ(beginnings.size(), 50u);
}

TEST(LoadPrompts, LengthsAreAsAsked) {
  RandomPrompts prompts(1);
  const Prompt fixed = prompts.draw({100, 20, 0}, {10, 1.5});
  EXPECT_EQ(words_in(fixed.text), 60u);
  EXPECT_EQ(fixed.max_tokens, 20);
  std::set<std::size_t> inputs;
  std::set<std::int32_t> outputs;
  for (int i = 0; i < 2000; ++i) {
    const Prompt prompt = prompts.draw({100, 20, 0.5}, {0, 1});
    inputs.insert(words_in(prompt.text));
    outputs.insert(prompt.max_tokens);
  }
  EXPECT_EQ(*inputs.begin(), 50u);
  EXPECT_EQ(*inputs.rbegin(), 150u);
  EXPECT_EQ(*outputs.begin(), 10);
  EXPECT_EQ(*outputs.rbegin(), 30);
}

TEST(LoadPrompts, NoLengthIsNothing) {
  RandomPrompts prompts(1);
  for (int i = 0; i < 100; ++i) {
    const Prompt prompt = prompts.draw({1, 1, 0.9}, {50, 2});
    EXPECT_FALSE(prompt.text.empty());
    EXPECT_GE(prompt.max_tokens, 1);
  }
}

}  // namespace
}  // namespace pagoda::load

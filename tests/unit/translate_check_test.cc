#include "translate/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace pagoda::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Task task(std::string source, std::string_view from, std::string_view to) {
  Task made;
  made.source = std::move(source);
  if (!from.empty()) made.from = &language(from);
  made.to = &language(to);
  return made;
}

std::vector<std::string> problems(const Task& made, std::string_view answer, bool cut = false) {
  std::vector<std::string> names;
  for (const Problem problem : check_answer(made, clean_answer(made, answer), cut))
    names.emplace_back(problem_name(problem));
  return names;
}

std::string repeated(std::string_view piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

TEST(Check, NamesAreUnique) {
  std::set<std::string> names;
  for (int i = 0; i < kProblems; ++i) names.insert(problem_name(static_cast<Problem>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kProblems));
}

TEST(Check, FindsOneProblemEach) {
  const struct {
    const char *source, *from, *to, *answer;
    std::vector<std::string> problems;
  } cases[] = {
      {"Where is the station?", "en", "de", "Wo ist der Bahnhof?", {}},
      {"Hello", "en", "de", " ", {"empty"}},
      {"!!!", "en", "de", "", {}},
      {"Where is the station?", "en", "de", "where is the station? ", {"echo"}},
      {"Where is the station?", "", "de", "Where is the station?", {"echo"}},
      {"Hotel", "en", "de", "Hotel", {}},
      {"12:30", "en", "zh", "12:30", {}},
      {"OK", "en", "zh", "OK", {}},
      {"東京", "ja", "zh-Hant", "東京", {}},
      {"人工智能很重要", "zh", "zh-Hant", "人工智能很重要", {}},
      {"人工智能正在改变世界", "zh", "en", "人工智能正在改变世界", {"echo", "wrong_script"}},
      {"Where is the station?", "en", "ja", "स्टेशन कहाँ है?", {"wrong_script"}},
      {"Where is the station?",
       "en",
       "bn",
       "The station is where",
       {}},  // all words are the source's: no names known
      {"Wo ist der Bahnhof?", "de", "bn", "Where do the trains stop?", {"wrong_script"}},
      {"Python 3.12 is out", "en", "zh", "Python 3.12 已发布", {}},
      {"Where is the nearest train station?", "en", "zh", "最寄りの駅はどこですか", {"wrong_script"}},
      {"Where is the nearest train station?", "en", "ja", "离这里最近的火车站在什么地方", {"wrong_script"}},
      {"Hat Julian was falsch gemacht?", "de", "zh", "Julianus错了吗？", {}},
      {"北京", "zh", "ja", "北京", {}},
      {"%d files in {0}", "en", "de", "%d Dateien in {0}", {}},
      {"%d files in {0}", "en", "de", "% d Dateien in {0}", {"lost_placeholder"}},
      {"a line\nand another", "en", "de", "eine Zeile und noch eine", {"lost_line"}},
      {"Hello", "en", "de", "Hallo ich bin ich bin ich bin ich bin ich bin ich bin", {"repetition"}},
      {"Hello", "en", "de", "!!!!!!!!!!!!!!!!!!!!!!!!", {"repetition"}},
      {"Wait......", "en", "de", "Warte......", {}},
      {"Hello", "en", "de", "Hallo <|extra_0|>", {"template_text"}},
      {"Hello", "en", "zh", "注意只需要输出翻译后的结果，不要额外解释：你好", {"template_text"}},
      {"the <think> tag", "en", "de", "das <think>-Tag", {}},
  };
  for (const auto& c : cases)
    EXPECT_EQ(problems(task(c.source, c.from, c.to), c.answer), c.problems) << c.source << " -> " << c.answer;
}

TEST(Check, Truncation) {
  EXPECT_THAT(problems(task("Hello there", "en", "de"), "Hallo", true), ElementsAre("truncated"));
  EXPECT_THAT(problems(task("Hello there", "en", "de"), "", true), ElementsAre("empty", "truncated"));
}

TEST(Check, Tags) {
  Task made = task("<s1>Hello</s1> there, my friend", "en", "de");
  made.formatted = true;
  EXPECT_THAT(problems(made, "<target><s1>Hallo</s1>, mein Freund</target>"), IsEmpty());
  EXPECT_THAT(problems(made, "<target><s1>Hallo, mein Freund</target>"), ElementsAre("lost_tag"));
  EXPECT_THAT(problems(made, "<target><s1>Hello</s1> there, my friend</target>"), ElementsAre("echo"));
}

TEST(Check, Terms) {
  Task made = task("混元珠在桌上", "zh", "en");
  made.terms = {{"混元珠", "Chaos Pearl"}};
  EXPECT_THAT(problems(made, "The chaos pearl is on the table"), IsEmpty());
  EXPECT_THAT(problems(made, "The Hunyuan Pearl is on the table"), ElementsAre("missing_term"));
  Task kept = task("元神", "zh", "en");
  kept.terms = {{"元神", "元神"}};  // leave untranslated
  EXPECT_THAT(problems(kept, "元神"), IsEmpty());
}

TEST(Check, RepetitionOfTheSourceIsAllowed) {
  const std::string line = repeated("= ", 40);
  EXPECT_FALSE(ends_in_repetition(line, line));
  EXPECT_FALSE(ends_in_repetition("", "ha ha ha ha ha"));
  EXPECT_TRUE(ends_in_repetition("a text", "ein Text " + repeated("und so weiter ", 10)));
  EXPECT_TRUE(ends_in_repetition("一", repeated("今天天气很好，我们去公园。", 4)));
  EXPECT_TRUE(ends_in_repetition("", repeated("a sentence of some length, that comes back. ", 2000)));
  EXPECT_FALSE(
      ends_in_repetition("", "No sentence of this text comes twice, though words in it do, as words do."));
  EXPECT_FALSE(ends_in_repetition("", ""));
}

}  // namespace
}  // namespace pagoda::translate

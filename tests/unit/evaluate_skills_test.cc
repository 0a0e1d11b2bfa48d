// Lines that test skills, and how answers to them are judged; no model.

#include "evaluate/skills.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "evaluate/term_pairs.h"

namespace pagoda::evaluate {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Marta goes with 玛尔塔 in every line that has either.
constexpr const char* kEnZh =
    "en\tzh\tMarta repairs bicycles.\t玛尔塔修自行车。\n"
    "en\tzh\tWe met Marta yesterday.\t我们昨天遇见了玛尔塔。\n"
    "en\tzh\tDoes Marta like plums?\t玛尔塔喜欢李子吗？\n"
    "en\tzh\tThe window was open.\t窗户开着。\n"
    "en\tzh\tI bought 25 lemons.\t我买了25个柠檬。\n"
    "en\tzh\tIt costs 1,234 dollars.\t它要1,234美元。\n";

std::vector<Direction> directions(const char* tsv) {
  return make_directions(*parse_test_file(tsv, "t"), /*both_ways=*/false, 0);
}

// As if the model had given the references.
Evaluation perfect(const std::vector<Direction>& all) {
  Evaluation evaluation;
  for (const Direction& direction : all) {
    std::vector<std::string> hypotheses;
    for (const TestLine& line : direction.lines) hypotheses.push_back(line.reference);
    evaluation.directions.push_back(score_direction(direction, hypotheses));
  }
  return evaluation;
}

std::vector<SkillLine> lines_of(Skill skill, const char* tsv = kEnZh, std::size_t each = 10) {
  const std::vector<Direction> all = directions(tsv);
  std::vector<SkillLine> lines = build_skill_lines(all, perfect(all), each);
  std::erase_if(lines, [&](const SkillLine& line) { return line.skill != skill; });
  return lines;
}

Answer answer(const std::string& text) {
  Answer result;
  result.raw = result.text = text;
  result.stopped = true;
  return result;
}

TEST(TermPairs, WordsThatAlwaysGoTogether) {
  const auto terms = find_term_pairs(directions(kEnZh)[0]);
  ASSERT_EQ(terms.size(), 6u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(terms[i].has_value()) << i;
    EXPECT_EQ(*terms[i], (translate::Term{"Marta", "玛尔塔"}));
  }
  EXPECT_FALSE(terms[3].has_value());
}

TEST(TermPairs, TheOtherWayRoundAndNames) {
  const std::vector<Direction> turned = make_directions(*parse_test_file(kEnZh, "t"), /*both_ways=*/true, 0);
  const auto terms = find_term_pairs(turned[1]);
  ASSERT_TRUE(terms[0].has_value());
  EXPECT_EQ(*terms[0], (translate::Term{"玛尔塔", "Marta"}));
  // One line is enough for a name that stays.
  const auto names = find_term_pairs(directions("en\tfr\tAsk Bertha about it.\tDemande à Bertha.\n")[0]);
  ASSERT_TRUE(names[0].has_value());
  EXPECT_EQ(*names[0], (translate::Term{"Bertha", "Bertha"}));
}

TEST(SkillLines, Terminology) {
  const auto lines = lines_of(Skill::kTerminology);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].question.task.terms.size(), 1u);
  EXPECT_TRUE(is_right(lines[0], answer("玛尔塔修理自行车。")));
  EXPECT_FALSE(is_right(lines[0], answer("马尔塔修理自行车。")));
}

TEST(SkillLines, Tags) {
  const auto one = lines_of(Skill::kTags);
  ASSERT_FALSE(one.empty());
  EXPECT_EQ(one[0].question.task.source, "<s1>Marta</s1> repairs bicycles.");
  EXPECT_TRUE(one[0].question.task.formatted);
  EXPECT_TRUE(is_right(one[0], answer("<target><s1>玛尔塔</s1>修自行车。</target>")));
  EXPECT_FALSE(is_right(one[0], answer("<target>玛尔塔修自行车。</target>")));
  EXPECT_FALSE(is_right(one[0], answer("<s1>玛尔塔修自行车。")));
  const auto two = lines_of(Skill::kTwoTags);
  ASSERT_FALSE(two.empty());
  EXPECT_EQ(two[0].question.task.source, "<s1>Marta</s1> repairs <s2>bicycles</s2>.");
  EXPECT_TRUE(is_right(two[0], answer("<s2>自行车</s2>由<s1>玛尔塔</s1>修。")));
  EXPECT_FALSE(is_right(two[0], answer("<s1>玛尔塔</s1>修自行车。")));
  EXPECT_TRUE(lines_of(Skill::kTags, "en\tfr\tThe <s1>cat</s1> sleeps.\tLe <s1>chat</s1> dort.\n").empty());
}

TEST(SkillLines, Numbers) {
  const auto lines = lines_of(Skill::kNumbers);
  ASSERT_EQ(lines.size(), 1u);  // 1,234 is not cut in half
  EXPECT_EQ(lines[0].question.task.source, "I bought " + lines[0].number + " lemons.");
  EXPECT_TRUE(is_right(lines[0], answer("我买了" + lines[0].number + "个柠檬。")));
  EXPECT_FALSE(is_right(lines[0], answer("我买了25个柠檬。")));
  // Digits of other scripts are the same number.
  SkillLine line = lines[0];
  line.number = "402";
  EXPECT_TRUE(is_right(line, answer("اشتريت ٤٠٢ ليمونة.")));
  EXPECT_TRUE(is_right(line, answer("４０２個")));
  EXPECT_TRUE(lines_of(Skill::kNumbers, "en\tfr\tI have 2 cats.\tJ'ai deux chats.\n").empty());
}

TEST(SkillLines, Placeholders) {
  const auto lines = lines_of(Skill::kPlaceholders);
  std::vector<std::string> sources;
  for (const SkillLine& line : lines) sources.push_back(line.question.task.source);
  EXPECT_THAT(sources, Contains("{name} repairs bicycles."));
  EXPECT_THAT(sources, Contains("We met %s yesterday."));
  EXPECT_THAT(sources, Contains("Does Marta like plums? https://example.org/page/2"));
  EXPECT_TRUE(is_right(lines[0], answer("{name}修自行车。")));
  EXPECT_FALSE(is_right(lines[0], answer("{名字}修自行车。")));
}

TEST(SkillLines, Context) {
  const auto lines = lines_of(Skill::kContext);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0].question.task.context, "Marta repairs bicycles.");
  EXPECT_TRUE(is_right(lines[0], answer("我们昨天遇见了玛尔塔。")));
  EXPECT_FALSE(is_right(lines[0], answer("玛尔塔修自行车。我们昨天遇见了玛尔塔。")));
  EXPECT_FALSE(is_right(lines[0], answer("Marta repairs bicycles. 我们昨天遇见了玛尔塔。")));
}

TEST(SkillLines, AtMostSoManyEach) {
  EXPECT_EQ(lines_of(Skill::kContext, kEnZh, 2).size(), 2u);
  EXPECT_EQ(lines_of(Skill::kTags, kEnZh, 1).size(), 1u);
}

TEST(SkillLines, EveryOneCanBeAskedAndJudged) {
  const std::vector<Direction> all = directions(kEnZh);
  for (const SkillLine& line : build_skill_lines(all, perfect(all), 10)) {
    EXPECT_FALSE(line.question.task.source.empty());
    EXPECT_THAT(line.question.origin, HasSubstr("t line "));
    EXPECT_NE(line.skill, Skill::kScript);  // judged on the plain answers
    EXPECT_NE(line.skill, Skill::kStop);
  }
}

TEST(Skills, ScriptAndStop) {
  SkillLine line;
  line.question.task.source = "The window was open.";
  line.question.task.from = &translate::language("en");
  line.question.task.to = &translate::language("zh");
  line.skill = Skill::kScript;
  EXPECT_TRUE(is_right(line, answer("窗户开着。")));
  EXPECT_FALSE(is_right(line, answer("La fenêtre était ouverte.")));
  line.skill = Skill::kStop;
  Answer cut = answer("窗户");
  EXPECT_TRUE(is_right(line, cut));
  cut.stopped = false;
  EXPECT_FALSE(is_right(line, cut));
}

}  // namespace
}  // namespace pagoda::evaluate

// Table, JSON and picture of a report.

#include "evaluate/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "evaluate/picture.h"

namespace pagoda::evaluate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Evaluation evaluation() {
  Evaluation result;
  const auto pairs = parse_test_file(
      "en\tfr\tThe ferry leaves at six.\tLe ferry part à six heures.\nfr\tzh\tUn chat "
      "dort.\t一只猫在睡觉。\n",
      "t");
  for (const Direction& direction : make_directions(*pairs, /*both_ways=*/false, 0)) {
    result.directions.push_back(score_direction(direction, {direction.lines[0].reference}));
  }
  result.directions[1].cut = 1;
  result.work = {.seconds = 2, .prompt_tokens = 60, .cached_tokens = 15, .generated_tokens = 20};
  return result;
}

ModelReport report() {
  ModelReport result;
  result.model = "models/tiny";
  result.format = "int8";
  result.weights_bytes = 1000;
  result.memory_bytes = 5000;
  result.evaluation = evaluation();
  result.operations_per_second = 3e9;
  result.int8_operations_per_second = 4e9;
  return result;
}

TEST(Report, Table) {
  const std::string table = score_table(report());
  EXPECT_THAT(table, HasSubstr("en-fr            1  100.00  100.00  13a\n"));
  EXPECT_THAT(table, HasSubstr("fr-zh            1  100.00  100.00  zh; 1 answers cut\n"));
  EXPECT_THAT(table, HasSubstr("mean             2  100.00  100.00\n"));
  EXPECT_THAT(table, HasSubstr("2.0 s: 10 tokens/s, 30 prompt tokens/s (25 % from the prefix cache)"));
  EXPECT_THAT(table, HasSubstr("75 % of this machine's INT8 rate"));
}

TEST(Report, Json) {
  const boost::json::object object = to_json(report());
  ASSERT_EQ(object.at("directions").as_array().size(), 2u);
  const boost::json::object& first = object.at("directions").as_array()[0].as_object();
  EXPECT_EQ(first.at("pair").as_string(), "en-fr");
  EXPECT_EQ(first.at("lines").to_number<int>(), 1);
  EXPECT_EQ(first.at("bleu").to_number<double>(), 100);
  EXPECT_EQ(first.at("chrf").to_number<double>(), 100);
  EXPECT_EQ(object.at("mean_bleu").to_number<double>(), 100);
  EXPECT_EQ(object.at("tokens_per_second").to_number<double>(), 10);
  EXPECT_EQ(object.at("memory_bytes").to_number<int>(), 5000);
  EXPECT_FALSE(object.contains("skills"));
}

TEST(Report, Skills) {
  ModelReport with = report();
  SkillRate terms{Skill::kTerminology, 3, 4, 1};
  SkillRate none{Skill::kNumbers, 0, 0, {}};
  with.skills = {terms, none};
  const std::string table = skill_table(with);
  EXPECT_THAT(table, HasSubstr("75.0 %  (1 have the term without being given it)"));
  EXPECT_THAT(table, HasSubstr("numbers              0       0        -"));
  const boost::json::object object = to_json(with);
  const boost::json::array& skills = object.at("skills").as_array();
  ASSERT_EQ(skills.size(), 2u);
  EXPECT_EQ(skills[0].at("skill").as_string(), "terminology");
  EXPECT_EQ(skills[0].at("rate").to_number<double>(), 0.75);
  EXPECT_EQ(skills[0].at("lines").to_number<int>(), 4);
  EXPECT_FALSE(skills[1].as_object().contains("rate"));  // a rate of nothing is no number
}

TEST(Report, PrettyJsonIsTheSameJson) {
  const boost::json::value value = boost::json::parse(
      R"({"a": 43.125, "b": [{"c": "\"x\"", "d": [1, 2]}, {}], "e": {"f": []}, "g": null, "h": true})");
  const std::string text = pretty(value);
  EXPECT_EQ(boost::json::parse(text), value);
  EXPECT_THAT(text, HasSubstr("\"a\": 43.125,\n"));
  EXPECT_THAT(text, HasSubstr("    {\"c\": \"\\\"x\\\"\", \"d\": [1, 2]},\n"));
}

TEST(Picture, HasAPointAndALabelForEachModel) {
  const std::string svg = quality_against_size(
      {{"nano (bf16)", 84000000, 34.25}, {"nano (int8)", 42000000, 34.21}, {"a & b <x>", 30000000, 33.5}},
      "Title");
  EXPECT_THAT(svg, ::testing::StartsWith("<svg xmlns="));
  EXPECT_THAT(svg, ::testing::EndsWith("</svg>\n"));
  std::size_t circles = 0;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1))
    ++circles;
  EXPECT_EQ(circles, 3u);
  EXPECT_THAT(svg, HasSubstr("nano (int8)  34.21"));
  EXPECT_THAT(svg, HasSubstr("a &amp; b &lt;x&gt;  33.50"));
  EXPECT_THAT(svg, HasSubstr("weights in memory, MB"));
  EXPECT_THAT(svg, Not(HasSubstr("nan\"")));
}

TEST(Picture, OfOneModelAndOfNothingTranslated) {
  EXPECT_THAT(quality_against_size({{"x", 5000000000, 0}}, "t"), HasSubstr("weights in memory, GB"));
  for (const double bleu : {0.0, 100.0}) {
    const std::string svg = quality_against_size({{"x", 0, bleu}}, "t");
    EXPECT_THAT(svg, Not(HasSubstr("inf")));
    EXPECT_THAT(svg, Not(HasSubstr("nan\"")));
  }
}

}  // namespace
}  // namespace pagoda::evaluate

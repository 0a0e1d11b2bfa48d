// Paired bootstrap on synthetic lines, and the comparison that is made of it.

#include "evaluate/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "evaluate/comparison.h"

namespace pagoda::evaluate {
namespace {

using ::testing::HasSubstr;

// A line of ten words, `right` of which in a row are the reference's.
LineCounts line(std::int64_t right) {
  LineCounts counts;
  counts.bleu.hypothesis_words = counts.bleu.reference_words = 10;
  for (std::int64_t n = 0; n < BleuCounts::kOrder; ++n) {
    counts.bleu.total[n] = 10 - n;
    counts.bleu.matched[n] = std::max<std::int64_t>(right - n, 0);
  }
  return counts;
}

std::vector<LineCounts> lines(std::size_t count, std::int64_t offset) {
  std::vector<LineCounts> result;
  for (std::size_t i = 0; i < count; ++i)
    result.push_back(line(4 + static_cast<std::int64_t>(i % 3) + offset));
  return result;
}

double bleu(const std::vector<LineCounts>& all) {
  BleuCounts sum;
  for (const LineCounts& counts : all) sum += counts.bleu;
  return sum.score();
}

TEST(Bootstrap, ModelAgainstItselfDiffersNowhere) {
  const auto same = lines(40, 0);
  for (const double difference : resampled_bleu_differences(same, same, {})) EXPECT_EQ(difference, 0);
  const Difference difference = make_difference(0, resampled_bleu_differences(same, same, {}));
  EXPECT_EQ(difference.low, 0);
  EXPECT_EQ(difference.high, 0);
  EXPECT_FALSE(difference.significant());
}

TEST(Bootstrap, EverywhereBetterIsSignificant) {
  const auto base = lines(60, 0), other = lines(60, 1);
  const double value = bleu(other) - bleu(base);
  const Difference difference = make_difference(value, resampled_bleu_differences(base, other, {}));
  EXPECT_GT(difference.low, 0);
  EXPECT_LT(difference.low, value);
  EXPECT_GT(difference.high, value);
  EXPECT_TRUE(difference.significant());
}

TEST(Bootstrap, LuckOfOneLineIsNot) {
  auto base = lines(60, 0), other = base;
  other[7] = line(10);
  EXPECT_GT(bleu(other), bleu(base));
  const Difference difference =
      make_difference(bleu(other) - bleu(base), resampled_bleu_differences(base, other, {}));
  EXPECT_EQ(difference.low, 0);  // more than one draw in forty lacks the line
  EXPECT_FALSE(difference.significant());
}

TEST(Bootstrap, SameSeedSameDraws) {
  const auto base = lines(30, 0), other = lines(30, 1);
  EXPECT_EQ(resampled_bleu_differences(base, other, {50, 3}),
            resampled_bleu_differences(base, other, {50, 3}));
  EXPECT_NE(resampled_bleu_differences(base, other, {50, 3}),
            resampled_bleu_differences(base, other, {50, 4}));
  EXPECT_EQ(resampled_bleu_differences(base, other, {50, 3}).size(), 50u);
}

// The spread of draws is that of the means of n lines: its square shrinks with n.
TEST(Bootstrap, IntervalShrinksWithLines) {
  const auto width = [](std::size_t count) {
    auto base = lines(count, 0), other = base;
    for (std::size_t i = 0; i < count; i += 2) other[i] = line(8);
    const Difference difference = make_difference(0, resampled_bleu_differences(base, other, {}));
    return difference.high - difference.low;
  };
  EXPECT_NEAR(width(60) / width(960), 4, 0.6);
}

TEST(Difference, IntervalIsTheMiddleOfTheSamples) {
  std::vector<double> samples;
  for (int i = 200; i >= 0; --i) samples.push_back(i);
  const Difference difference = make_difference(100, samples);
  EXPECT_DOUBLE_EQ(difference.low, 5);
  EXPECT_DOUBLE_EQ(difference.high, 195);
}

ModelReport report(const std::string& name, const std::vector<std::int64_t>& offsets) {
  ModelReport result;
  result.model = name;
  for (std::size_t d = 0; d < offsets.size(); ++d) {
    DirectionScore score;
    score.pair = "direction-" + std::to_string(d);
    score.lines = lines(50, offsets[d]);
    score.bleu = bleu(score.lines);
    result.evaluation.directions.push_back(std::move(score));
  }
  return result;
}

TEST(Comparison, WorstDirectionFirst) {
  const Comparison comparison = compare(report("a", {1, 1, 1}), report("b", {1, 2, 0}));
  ASSERT_EQ(comparison.directions.size(), 3u);
  EXPECT_EQ(comparison.directions[0].pair, "direction-2");
  EXPECT_EQ(comparison.directions[1].pair, "direction-0");
  EXPECT_EQ(comparison.directions[2].pair, "direction-1");
  EXPECT_TRUE(comparison.directions[0].bleu_difference.significant());
  EXPECT_FALSE(comparison.directions[1].bleu_difference.significant());
  double mean = 0;
  for (const DirectionDifference& direction : comparison.directions)
    mean += direction.bleu_difference.value / 3;
  EXPECT_NEAR(comparison.mean_bleu.value, mean, 1e-9);
  EXPECT_LT(comparison.mean_bleu.low, mean);
  EXPECT_GT(comparison.mean_bleu.high, mean);
  const std::string table = comparison_table(comparison);
  EXPECT_LT(table.find("direction-2"), table.find("direction-0"));
  EXPECT_THAT(table, HasSubstr("b against a"));
  const boost::json::object object = to_json(comparison);
  EXPECT_EQ(object.at("directions").as_array().size(), 3u);
  EXPECT_EQ(object.at("directions").as_array()[0].at("pair").as_string(), "direction-2");
  EXPECT_LT(object.at("directions").as_array()[0].at("high").to_number<double>(), 0);
}

}  // namespace
}  // namespace pagoda::evaluate

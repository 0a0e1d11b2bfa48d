#include "load/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::load {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;

// The expected values are numpy.percentile's.
TEST(Statistics, PercentilesAreLinearBetweenTheNearest) {
  const std::vector<double> values = {15, 20, 35, 40, 50};
  EXPECT_DOUBLE_EQ(percentile(values, 0), 15);
  EXPECT_DOUBLE_EQ(percentile(values, 5), 16);
  EXPECT_DOUBLE_EQ(percentile(values, 30), 23);
  EXPECT_DOUBLE_EQ(percentile(values, 40), 29);
  EXPECT_DOUBLE_EQ(percentile(values, 50), 35);
  EXPECT_DOUBLE_EQ(percentile(values, 90), 46);
  EXPECT_DOUBLE_EQ(percentile(values, 99), 49.6);
  EXPECT_DOUBLE_EQ(percentile(values, 100), 50);
}

TEST(Statistics, PercentilesOfOneAndOfNone) {
  EXPECT_DOUBLE_EQ(percentile(std::vector<double>{7}, 99), 7);
  EXPECT_DOUBLE_EQ(percentile({}, 50), 0);
}

TEST(Statistics, SummarizesInAnyOrder) {
  const std::vector<double> percents = {90, 10};
  const Summary summary = summarize({4, 1, 3, 2}, percents);
  EXPECT_DOUBLE_EQ(summary.mean, 2.5);
  EXPECT_DOUBLE_EQ(summary.median, 2.5);
  EXPECT_NEAR(summary.deviation, 1.118033988749895, 1e-12);
  EXPECT_THAT(summary.percentiles, ElementsAre(DoubleNear(3.7, 1e-12), DoubleNear(1.3, 1e-12)));
}

TEST(Statistics, NothingIsZero) {
  const std::vector<double> percents = {50, 99};
  const Summary summary = summarize({}, percents);
  EXPECT_EQ(summary.mean, 0);
  EXPECT_EQ(summary.median, 0);
  EXPECT_EQ(summary.deviation, 0);
  ASSERT_EQ(summary.percentiles.size(), 2u);
  EXPECT_THAT(summary.percentiles, Each(0));
}

}  // namespace
}  // namespace pagoda::load

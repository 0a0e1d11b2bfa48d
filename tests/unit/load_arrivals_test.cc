#include "load/arrivals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace pagoda::load {
namespace {

using ::testing::Each;
using ::testing::SizeIs;

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// Standard deviation of the gaps over their mean: 1 for a Poisson process, 1/sqrt(burstiness) in general.
double variation(const std::vector<double>& arrivals) {
  double last = 0, sum = 0, squares = 0;
  for (const double arrival : arrivals) {
    const double gap = arrival - last;
    last = arrival;
    sum += gap;
    squares += gap * gap;
  }
  const auto count = static_cast<double>(arrivals.size());
  const double mean = sum / count;
  return std::sqrt(std::max(0.0, squares / count - mean * mean)) / mean;
}

TEST(Arrivals, InfiniteRateIsAllAtOnce) {
  const auto arrivals = arrival_seconds(5, kInfinite, 1, 0);
  EXPECT_THAT(arrivals, SizeIs(5));
  EXPECT_THAT(arrivals, Each(0.0));
}

TEST(Arrivals, KeepTheRateWhateverTheSeed) {
  for (const std::uint64_t seed : {0u, 1u, 99u}) {
    const auto arrivals = arrival_seconds(200, 50, 1, seed);
    EXPECT_TRUE(std::is_sorted(arrivals.begin(), arrivals.end()));
    EXPECT_NEAR(arrivals.back(), 4.0, 1e-9);
    EXPECT_GT(arrivals.front(), 0);
  }
}

TEST(Arrivals, AreTheSameForTheSameSeed) {
  EXPECT_EQ(arrival_seconds(50, 3, 1, 7), arrival_seconds(50, 3, 1, 7));
  EXPECT_NE(arrival_seconds(50, 3, 1, 7), arrival_seconds(50, 3, 1, 8));
}

TEST(Arrivals, BurstinessIsTheShapeOfTheGaps) {
  EXPECT_NEAR(variation(arrival_seconds(20000, 10, 1, 1)), 1.0, 0.05);
  EXPECT_NEAR(variation(arrival_seconds(20000, 10, 0.25, 1)), 2.0, 0.15);
  EXPECT_NEAR(variation(arrival_seconds(20000, 10, 4, 1)), 0.5, 0.05);
  EXPECT_NEAR(variation(arrival_seconds(1000, 10, kInfinite, 1)), 0.0, 1e-5);
}

TEST(Arrivals, OneAndNone) {
  EXPECT_THAT(arrival_seconds(0, 10, 1, 0), SizeIs(0));
  EXPECT_THAT(arrival_seconds(1, 10, 1, 0), ::testing::ElementsAre(::testing::DoubleNear(0.1, 1e-12)));
}

}  // namespace
}  // namespace pagoda::load

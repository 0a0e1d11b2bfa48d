#include "load/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::load {
namespace {

using ::testing::HasSubstr;

Outcome answered(double first_s, double end_s, std::int64_t prompt, std::int64_t completion,
                 std::vector<double> gaps_s = {}) {
  Outcome outcome;
  outcome.first_text_s = first_s;
  outcome.end_s = end_s;
  outcome.usage = TokenCounts{prompt, completion};
  outcome.pieces = static_cast<std::int64_t>(gaps_s.size()) + 1;
  outcome.gaps_s = std::move(gaps_s);
  return outcome;
}
Outcome failed(std::string kind, std::string error) {
  Outcome outcome;
  outcome.failure = std::move(kind);
  outcome.error = std::move(error);
  return outcome;
}

Goodput most(const std::vector<std::string>& pairs) { return parse_goodput(pairs).value(); }

TEST(LoadMetrics, AddUp) {
  const std::vector<Outcome> outcomes = {answered(0.1, 0.5, 10, 5, {0.1, 0.3}),
                                         answered(0.2, 1.1, 20, 10, {0.2}), failed("429", "first"),
                                         failed("429", "second"), failed("cut", "third")};
  const std::vector<double> percents = {50, 100};
  const Metrics metrics = measure(outcomes, 2.0, percents, {});
  EXPECT_EQ(metrics.completed, 2u);
  EXPECT_EQ(metrics.failed, 3u);
  EXPECT_EQ(metrics.failures.at("429").count, 2u);
  EXPECT_EQ(metrics.failures.at("429").first, "first");
  EXPECT_EQ(metrics.failures.at("cut").count, 1u);
  EXPECT_EQ(metrics.input_tokens, 30);
  EXPECT_EQ(metrics.output_tokens, 15);
  EXPECT_DOUBLE_EQ(metrics.per_second(15), 7.5);
  EXPECT_NEAR(metrics.ttft_ms.mean, 150, 1e-9);
  EXPECT_NEAR(metrics.tpot_ms.percentiles[1], 100, 1e-9);  // 400/4 and 900/9
  EXPECT_NEAR(metrics.tpot_ms.mean, 100, 1e-9);
  EXPECT_NEAR(metrics.itl_ms.mean, 200, 1e-9);
  EXPECT_NEAR(metrics.itl_ms.percentiles[1], 300, 1e-9);
  EXPECT_NEAR(metrics.e2el_ms.median, 800, 1e-9);
  EXPECT_EQ(metrics.without_usage, 0u);
}

TEST(LoadMetrics, CountPiecesWhereTheServerCountsNothing) {
  Outcome outcome = answered(0.1, 0.4, 0, 0, {0.1, 0.2});
  outcome.usage.reset();
  const Metrics metrics = measure(std::vector<Outcome>{outcome}, 1, {}, {});
  EXPECT_EQ(metrics.without_usage, 1u);
  EXPECT_EQ(metrics.output_tokens, 3);
  EXPECT_EQ(metrics.input_tokens, 0);
  EXPECT_NEAR(metrics.tpot_ms.mean, 150, 1e-9);
}

TEST(LoadMetrics, AnAnswerOfOneTokenHasNoTimePerToken) {
  const std::vector<Outcome> outcomes = {answered(0.1, 0.1, 5, 1), answered(0.1, 0.3, 5, 3)};
  const Metrics metrics = measure(outcomes, 1, {}, most({"tpot:50"}));
  EXPECT_NEAR(metrics.tpot_ms.mean, 100, 1e-9);
  EXPECT_EQ(metrics.good, 1u);  // and is good as far as that goes
}

TEST(LoadMetrics, GoodIsWhatMeetsAll) {
  const std::vector<Outcome> outcomes = {answered(0.1, 0.5, 1, 5), answered(0.3, 0.5, 1, 5),
                                         answered(0.1, 2.5, 1, 5), failed("429", "")};
  EXPECT_EQ(measure(outcomes, 1, {}, {}).good, 3u);
  EXPECT_EQ(measure(outcomes, 1, {}, most({"ttft:100"})).good, 2u);
  EXPECT_EQ(measure(outcomes, 1, {}, most({"ttft:100", "e2el:2000"})).good, 1u);
  EXPECT_EQ(measure(outcomes, 1, {}, most({"ttft:1"})).good, 0u);
}

TEST(LoadMetrics, NothingAndNoTimeAreZero) {
  const Metrics metrics = measure({}, 0, {}, {});
  EXPECT_EQ(metrics.completed, 0u);
  EXPECT_EQ(metrics.per_second(5), 0);
}

TEST(LoadGoodput, Parses) {
  const std::vector<std::string> pairs = {"ttft:100", "e2el:1.5"};
  const Goodput goodput = parse_goodput(pairs).value();
  EXPECT_EQ(goodput.ttft_ms, 100);
  EXPECT_EQ(goodput.e2el_ms, 1.5);
  EXPECT_FALSE(goodput.tpot_ms);
  EXPECT_TRUE(goodput.any());
  EXPECT_FALSE(parse_goodput({}).value().any());
}

TEST(LoadGoodput, RefusesWhatItDoesNotKnow) {
  for (const char* pair : {"", "ttft", "ttft:", "itl:5", "ttft:x", "ttft:1x", "ttft:-1", "ttft:nan", ":5"}) {
    const auto goodput = parse_goodput(std::vector<std::string>{pair});
    EXPECT_EQ(goodput.status().code(), base::Code::kInvalidArgument) << pair;
    EXPECT_THAT(goodput.status().message(), HasSubstr("--goodput")) << pair;
  }
}

}  // namespace
}  // namespace pagoda::load

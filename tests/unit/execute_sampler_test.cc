// The sampler against the logits processors of Hugging Face transformers
// (tests/data/make_sampler_goldens.py): a sampler gives draws, so the golden's set and probabilities are
// compared with what many seeds draw.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "execute/sampling.h"

namespace pagoda::execute {
namespace {

using ::testing::HasSubstr;
namespace json = boost::json;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  std::string name;
  std::vector<float> logits;
  std::vector<std::int32_t> history;
  Sampling sampling;
  std::map<std::int32_t, double> kept;  // token -> probability
};

// The golden leaves out what is off; its chain without a temperature is one of temperature 1.
Sampling sampling_of(const json::object& object) {
  Sampling sampling;
  sampling.temperature = 1;
  for (const auto& [key, value] : object) {
    const auto number = value.to_number<double>();
    if (key == "temperature") sampling.temperature = static_cast<float>(number);
    if (key == "top_k") sampling.top_k = static_cast<std::int32_t>(number);
    if (key == "top_p") sampling.top_p = static_cast<float>(number);
    if (key == "min_p") sampling.min_p = static_cast<float>(number);
    if (key == "repetition_penalty") sampling.repetition_penalty = static_cast<float>(number);
  }
  return sampling;
}

std::vector<Case> load_cases() {
  std::ifstream file(PAGODA_SOURCE_DIR "/tests/data/sampler/golden.json");
  std::stringstream text;
  text << file.rdbuf();
  const json::value parsed = json::parse(text.str());
  std::vector<Case> cases;
  for (const json::value& item : parsed.as_array()) {
    Case c;
    c.name = item.at("name").as_string().c_str();
    for (const json::value& v : item.at("logits").as_array()) c.logits.push_back(v.to_number<float>());
    for (const json::value& v : item.at("history").as_array())
      c.history.push_back(v.to_number<std::int32_t>());
    c.sampling = sampling_of(item.at("sampling").as_object());
    const json::array& kept = item.at("kept").as_array();
    for (std::size_t i = 0; i < kept.size(); ++i)
      c.kept[kept[i].to_number<std::int32_t>()] = item.at("probabilities").as_array()[i].to_number<double>();
    cases.push_back(std::move(c));
  }
  return cases;
}

std::map<std::int32_t, int> draw_many(const Case& c, int draws) {
  Sampler sampler;
  std::map<std::int32_t, int> counts;
  for (int seed = 0; seed < draws; ++seed) {
    std::vector<float> logits = c.logits;
    Sampling sampling = c.sampling;
    sampling.seed = static_cast<std::uint64_t>(seed);
    ++counts[sampler.sample(logits, c.history, sampling).token];
  }
  return counts;
}

std::int32_t sample_one(std::vector<float> logits, const Sampling& sampling,
                        const std::vector<std::int32_t>& history = {}) {
  return Sampler().sample(logits, history, sampling).token;
}

// A token of probability 0.001, the least of the golden, is missed by all draws with probability 1e-9.
constexpr int kDraws = 20000;

TEST(SamplerGolden, SupportAndFrequencies) {
  const std::vector<Case> cases = load_cases();
  ASSERT_GE(cases.size(), 25u);
  for (const Case& c : cases) {
    if (c.name.starts_with("limit_top_p")) continue;
    SCOPED_TRACE(c.name);
    const std::map<std::int32_t, int> counts = draw_many(c, kDraws);
    for (const auto& [token, count] : counts) EXPECT_TRUE(c.kept.contains(token)) << token << " was cut off";
    for (const auto& [token, probability] : c.kept) {
      ASSERT_TRUE(counts.contains(token)) << token << " of probability " << probability << " is never drawn";
      const double deviation = std::sqrt(kDraws * probability * (1 - probability));
      EXPECT_NEAR(counts.at(token), kDraws * probability, 4.5 * deviation + 1) << "token " << token;
    }
  }
}

// Equal logits at the limit: the reference takes any of them, so only their number is compared.
TEST(SamplerGolden, SmallestSetThatReachesTopP) {
  int limits = 0;
  for (const Case& c : load_cases()) {
    if (!c.name.starts_with("limit_top_p")) continue;
    SCOPED_TRACE(c.name);
    ++limits;
    EXPECT_EQ(draw_many(c, 1000).size(), c.kept.size());
  }
  EXPECT_EQ(limits, 3);
}

// Here we differ from the reference on purpose: it keeps all that equal the k-th, we keep k, the lower ids
// first.
TEST(Sampler, TopKKeepsKAmongEquals) {
  const Case c{"", {0, 1, 1, 1, 0}, {}, {.temperature = 1, .top_k = 2}, {}};
  const auto counts = draw_many(c, 500);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_TRUE(counts.contains(1) && counts.contains(2));
}

TEST(Sampler, GreedyTakesTheFirstOfEquals) {
  for (const std::size_t size : {1u, 3u, 15u, 16u, 17u, 40u, 1000u}) {
    std::vector<float> logits(size, -3.0f);
    EXPECT_EQ(sample_one(logits, {}), 0) << size;
    logits[size - 1] = 2;
    EXPECT_EQ(sample_one(logits, {}), static_cast<std::int32_t>(size) - 1) << size;
    logits[size / 2] = 2;
    EXPECT_EQ(sample_one(logits, {}), static_cast<std::int32_t>(size / 2)) << size;
  }
}

TEST(Sampler, GreedyAfterThePenalty) {
  const Sampling sampling{.repetition_penalty = 2};
  EXPECT_EQ(sample_one({3, 2, 1}, sampling, {0}), 1);
  EXPECT_EQ(sample_one({3, 2, 1}, sampling, {0, 0, 1}), 0);  // once each: 1.5, 1, 1
  EXPECT_EQ(sample_one({-1, -1.5, -3}, sampling, {0}), 1);   // negative ones fall too
  // Ids that the model does not have (a padded vocabulary, a foreign prompt) are passed over.
  EXPECT_EQ(sample_one({3, 2, 1}, sampling, {-1, 3, 1 << 30}), 0);
}

TEST(Sampler, BrokenLogitsStillGiveAToken) {
  std::vector<std::vector<float>> broken = {std::vector<float>(50, -kInfinity), std::vector<float>(50, kNan),
                                            std::vector<float>(50, kInfinity)};
  broken.emplace_back(50, 1.0f);
  for (std::size_t i = 0; i < 50; i += 3) broken.back()[i] = kNan;
  broken.emplace_back(50, 1.0f);
  broken.back()[17] = kInfinity;
  const std::vector<Sampling> samplings = {{},
                                           {.temperature = 1},
                                           {.temperature = 1, .top_k = 5},
                                           {.temperature = 1, .top_p = 0.5f},
                                           {.temperature = 1, .min_p = 0.5f},
                                           {.temperature = 0.5f,
                                            .top_k = 5,
                                            .top_p = 0.5f,
                                            .min_p = 0.1f,
                                            .repetition_penalty = 1.1f,
                                            .logprobs = 3},
                                           {.logprobs = 20}};
  for (const std::vector<float>& logits : broken)
    for (Sampling sampling : samplings)
      for (std::uint64_t seed = 0; seed < 50; ++seed) {
        sampling.seed = seed;
        const std::int32_t token = sample_one(logits, sampling, {1, 2, 3});
        ASSERT_GE(token, 0);
        ASSERT_LT(token, 50);
      }
}

TEST(Sampler, ANumberIsPreferredToNan) {
  std::vector<float> logits(300, kNan);
  logits[200] = -5;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(sample_one(logits, {}), 200);
    EXPECT_EQ(sample_one(logits, {.temperature = 1, .seed = seed}), 200);
    EXPECT_EQ(sample_one(logits, {.temperature = 1, .top_k = 3, .top_p = 0.9f, .seed = seed}), 200);
  }
}

TEST(Sampler, NeverDrawsMinusInfinity) {
  std::vector<float> logits(64, -kInfinity);
  logits[5] = logits[60] = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const std::int32_t token = sample_one(logits, {.temperature = 2, .seed = seed});
    EXPECT_TRUE(token == 5 || token == 60) << token;
  }
}

TEST(Sampler, ASmallTemperatureIsNearlyGreedy) {
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    EXPECT_EQ(sample_one({1, 1.5f, 2, 1.75f}, {.temperature = 1e-4f, .seed = seed}), 2);
  // Overflow to infinity in the division must not lose the largest.
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    EXPECT_EQ(sample_one({1, 15, 20, 17}, {.temperature = 1e-38f, .seed = seed}), 2);
}

TEST(Sampler, DrawDependsOnSeedAndPositionAlone) {
  std::vector<float> flat(1000, 0.0f);
  const auto token = [&](std::uint64_t seed, std::size_t position, Sampler& sampler) {
    std::vector<float> logits = flat;
    return sampler.sample(logits, std::vector<std::int32_t>(position), {.temperature = 1, .seed = seed})
        .token;
  };
  Sampler one, other;
  for (std::uint64_t seed : {0ull, 1ull, ~0ull})
    for (std::size_t position = 0; position < 20; ++position) {
      const std::int32_t first = token(seed, position, one);
      token(seed + 7, position + 3, one);  // what was sampled in between does not matter
      EXPECT_EQ(token(seed, position, one), first);
      EXPECT_EQ(token(seed, position, other), first);
    }
  // Neighbouring seeds and positions are as good as independent: 400 draws of 1000 rarely meet.
  std::map<std::int32_t, int> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (std::size_t position = 0; position < 20; ++position) ++seen[token(seed, position, one)];
  EXPECT_GT(seen.size(), 300u);
}

TEST(Sampler, LogprobsAreTheModelsOwn) {
  const std::vector<float> logits = {1, 4, 2, 3, -1};
  double sum = 0;
  for (const float value : logits) sum += std::exp(value);
  Sampling sampling{.temperature = 0.3f, .top_k = 2, .repetition_penalty = 3, .logprobs = 3};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<float> copy = logits;
    sampling.seed = seed;
    const SampledToken sampled = Sampler().sample(copy, std::vector<std::int32_t>{1, 3}, sampling);
    EXPECT_NEAR(sampled.logprob, logits[sampled.token] - std::log(sum), 1e-5);
    ASSERT_EQ(sampled.top_logprobs.size(), 3u);
    const std::int32_t order[] = {1, 3, 2};
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(sampled.top_logprobs[i].token, order[i]);
      EXPECT_NEAR(sampled.top_logprobs[i].logprob, logits[order[i]] - std::log(sum), 1e-5);
    }
  }
}

TEST(Sampler, LogprobsOfNoneAndOfMoreThanThereAre) {
  std::vector<float> logits = {1, 2, 3};
  const SampledToken none = Sampler().sample(logits, {}, {.logprobs = 0});
  EXPECT_TRUE(none.top_logprobs.empty());
  EXPECT_LT(none.logprob, 0);
  logits = {1, 2, 3};
  EXPECT_EQ(Sampler().sample(logits, {}, {.logprobs = 20}).top_logprobs.size(), 3u);
  logits = {1, 2, 3};
  const SampledToken off = Sampler().sample(logits, {}, {});
  EXPECT_TRUE(off.top_logprobs.empty());
  EXPECT_EQ(off.logprob, 0);
}

// Equal ones in order of their ids, so that an answer can be compared with another.
TEST(Sampler, TopLogprobsOfEqualsAreInOrderOfIds) {
  std::vector<float> logits(100, 1.0f);
  logits[50] = 2;
  const SampledToken sampled = Sampler().sample(logits, {}, {.logprobs = 5});
  std::vector<std::int32_t> tokens;
  for (const TokenLogprob& top : sampled.top_logprobs) tokens.push_back(top.token);
  EXPECT_THAT(tokens, ::testing::ElementsAre(50, 0, 1, 2, 3));
}

TEST(CheckSampling, NamesFieldAndValue) {
  const struct {
    Sampling sampling;
    std::vector<std::string> words;
  } cases[] = {
      {{.temperature = -0.5f}, {"temperature", "-0.5"}},
      {{.temperature = 101}, {"temperature", "101"}},
      {{.temperature = kNan}, {"temperature", "nan"}},
      {{.temperature = kInfinity}, {"temperature", "inf"}},
      {{.top_k = -2}, {"top_k", "-2"}},
      {{.top_p = 0}, {"top_p", "0"}},
      {{.top_p = 1.5f}, {"top_p", "1.5"}},
      {{.top_p = kNan}, {"top_p", "nan"}},
      {{.min_p = -0.5f}, {"min_p", "-0.5"}},
      {{.min_p = 1.5f}, {"min_p", "1.5"}},
      {{.repetition_penalty = 0}, {"repetition_penalty", "0"}},
      {{.repetition_penalty = kNan}, {"repetition_penalty", "nan"}},
      {{.repetition_penalty = 1000}, {"repetition_penalty", "1000"}},
      {{.logprobs = -2}, {"logprobs", "-2"}},
      {{.logprobs = 21}, {"logprobs", "21", "20"}},
  };
  for (const auto& c : cases) {
    const base::Status status = check_sampling(c.sampling);
    EXPECT_EQ(status.code(), base::Code::kInvalidArgument) << c.words[0] << " " << c.words[1];
    for (const std::string& word : c.words) EXPECT_THAT(status.message(), HasSubstr(word));
  }
  EXPECT_TRUE(check_sampling({}).ok());
  EXPECT_TRUE(
      check_sampling({.temperature = 100, .top_k = -1, .top_p = 1e-6f, .min_p = 1, .logprobs = 20}).ok());
}

}  // namespace
}  // namespace pagoda::execute

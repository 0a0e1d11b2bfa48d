// The engine on a device, one step ahead of its tokens: the answers are those of an engine on the host that
// computes one request after the other.

#include <gtest/gtest.h>

#include <random>
#include <tuple>

#include "engine_crowd.h"
#include "engine_recorder.h"
#include "late_device.h"

namespace pagoda::engine {
namespace {

std::unique_ptr<Engine> late_engine(const EngineOptions& options) {
  return random_engine(options, std::make_unique<execute::LateDevice>(deterministic_ops()));
}

// Blocks for a few of the requests at their longest, so that some are preempted; room for whole prompts, so
// that most steps are graphs.
EngineOptions options(std::int32_t steps_ahead) {
  EngineOptions options = small_options();
  options.runner.block_size = 8;
  options.runner.num_kv_blocks = 60;
  options.runner.max_model_len = 256;
  options.steps_ahead = steps_ahead;
  return options;
}

enum class Kind { kGreedy, kDrawn, kPenalised, kLogprobs };
constexpr const char* kKindNames[] = {"Greedy", "Drawn", "Penalised", "Logprobs"};

std::vector<Request> requests(Kind kind) {
  std::mt19937 random(7);
  const auto below = [&](std::uint32_t limit) { return static_cast<std::int32_t>(random() % limit); };
  std::vector<Request> all;
  for (int i = 0; i < 16; ++i) {
    Request request;
    for (std::int32_t length = 1 + below(120); length > 0; --length)
      request.prompt.emplace_back(below(24576));
    request.max_tokens = 1 + below(80);
    request.ignore_eos = true;
    request.sampling.temperature = kind == Kind::kGreedy ? 0 : 1;
    request.sampling.top_k = 40;
    request.sampling.seed = random();
    if (kind == Kind::kLogprobs) request.sampling.repetition_penalty = 3;
    if (kind == Kind::kPenalised) request.sampling.repetition_penalty = i % 3 == 0 ? 1.0f : 5.0f;
    if (kind == Kind::kLogprobs && i % 5 == 0) request.sampling.logprobs = 2;
    if (kind == Kind::kLogprobs && i % 7 == 0) request.sampling.top_k = 0;
    all.push_back(std::move(request));
  }
  return all;
}

std::vector<std::vector<std::int32_t>> answers(Engine& engine, std::vector<Request> all,
                                               std::size_t in_flight) {
  const auto completions = generate_all(engine, std::move(all), in_flight, nullptr);
  EXPECT_TRUE(completions.ok()) << completions.status().message();
  std::vector<std::vector<std::int32_t>> result;
  for (const Completion& completion : *completions) {
    result.emplace_back();
    for (const auto& token : completion.tokens) result.back().push_back(token.token);
    EXPECT_EQ(completion.usage.completion_tokens, static_cast<int>(completion.tokens.size()));
  }
  return result;
}

class RunAhead : public ::testing::TestWithParam<std::tuple<Kind, std::int32_t>> {};

TEST_P(RunAhead, SameTokens) {
  const auto [kind, steps_ahead] = GetParam();
  const auto host = random_engine(options(0)), late = late_engine(options(steps_ahead));
  const auto expected = answers(*host, requests(kind), 1);
  EXPECT_EQ(answers(*late, requests(kind), 16), expected);
  EXPECT_GT(late->stats().preemptions, 0);
  EXPECT_EQ(late->stats().kv_blocks_used, 0);
  EXPECT_EQ(late->stats().generated_tokens, host->stats().generated_tokens);

  // Ended by one of their own tokens, somewhere, while the next step is under way.
  std::vector<Request> stopped = requests(kind);
  for (std::size_t i = 0; i < stopped.size(); ++i)
    stopped[i].stop_token_ids = {text::TokenId(expected[i][expected[i].size() * (i % 4) / 4])};
  EXPECT_EQ(answers(*late, stopped, 16), answers(*host, stopped, 1));
  EXPECT_EQ(late->stats().kv_blocks_used, 0);
  EXPECT_EQ(late->stats().generated_tokens, host->stats().generated_tokens);
}

INSTANTIATE_TEST_SUITE_P(Kinds, RunAhead,
                         ::testing::Combine(::testing::Values(Kind::kGreedy, Kind::kDrawn, Kind::kPenalised,
                                                              Kind::kLogprobs),
                                            ::testing::Values(0, 1)),
                         [](const auto& info) {
                           return std::string(kKindNames[static_cast<int>(std::get<0>(info.param))]) +
                                  (std::get<1>(info.param) == 0 ? "InStep" : "Ahead");
                         });

// One request decodes for `tokens` tokens in as many steps: its length is known in advance.
TEST(RunAheadSteps, NoStepIsWastedOnAnAnswersLength) {
  const auto engine = late_engine(options(1));
  Request request = requests(Kind::kGreedy)[0];
  request.max_tokens = 20;
  complete(*engine, request);
  EXPECT_EQ(engine->stats().steps, 20);
}

TEST(RunAheadSteps, AStopCostsOneStepWhoseTokenNobodyHears) {
  const auto engine = late_engine(options(1));
  Request request = requests(Kind::kDrawn)[0];
  request.max_tokens = 20;
  const Completion whole = complete(*engine, request);
  const std::int64_t steps = engine->stats().steps, tokens = engine->stats().generated_tokens;
  request.stop_token_ids = {text::TokenId(whole.tokens[9].token)};
  const Completion stopped = complete(*engine, request);
  EXPECT_EQ(stopped.finish, FinishReason::kStop);
  ASSERT_LE(stopped.tokens.size(), 10u);
  EXPECT_TRUE(eventually(
      [&] { return engine->stats().steps - steps == static_cast<std::int64_t>(stopped.tokens.size()) + 1; }));
  EXPECT_EQ(engine->stats().generated_tokens - tokens, static_cast<std::int64_t>(stopped.tokens.size()));
}

TEST(RunAheadSteps, TheDestructorWaitsForWhatIsUnderWay) {
  for (int round = 0; round < 5; ++round) {
    std::vector<Recorder> recorders(6);
    {
      const auto engine = late_engine(options(1));
      for (Recorder& recorder : recorders)
        ASSERT_TRUE(engine->submit(endless(*engine), recorder.sink()).ok());
      recorders[0].wait_for_tokens(round);
    }
    for (Recorder& recorder : recorders) EXPECT_EQ(recorder.wait().finish, FinishReason::kCancelled);
  }
}

TEST(RunAheadSteps, TimesTheDeviceWhenAsked) {
  for (const bool timed : {false, true}) {
    EngineOptions wanted = options(1);
    wanted.time_device = timed;
    const auto engine = late_engine(wanted);
    complete(*engine, requests(Kind::kGreedy)[0]);
    const execute::DeviceTime time = engine->stats().device_time;
    EXPECT_EQ(time.busy_seconds > 0, timed);
    EXPECT_EQ(time.idle_seconds > 0, timed);
  }
}

TEST(RunAheadCrowd, EverybodyIsAccountedFor) {
  for (const std::int32_t steps_ahead : {0, 1}) {
    EngineOptions crowded = Crowd::options();
    crowded.steps_ahead = steps_ahead;
    Crowd crowd(late_engine(crowded));
    crowd.run();
    crowd.check();
  }
}

}  // namespace
}  // namespace pagoda::engine

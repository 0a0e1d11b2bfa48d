// Whole models on a GPU against the same on the CPU: greedy tokens of the bundled model, alone and batched,
// and the logits of random weights in every format.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "kernels/device.h"
#include "model/load_dense.h"
#include "step_batch.h"

namespace pagoda::execute {
namespace {

std::unique_ptr<kernels::Ops> ops_for(const char* device) {
  kernels::DeviceOptions options;
  options.device = device;
  auto ops = kernels::make_ops(options);
  return ops.ok() ? std::move(ops).value() : nullptr;
}

// Up to the end of the answer: what a model says after that is undecided.
std::vector<std::int32_t> answer(const std::vector<std::int32_t>& tokens, std::size_t prompt) {
  constexpr std::int32_t kEnd = 3;
  const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(prompt);
  return {begin, std::find(begin, tokens.end(), kEnd)};
}

// The reference multiplies in float what the files hold; the CPU backend would round activations to INT8.
TEST(CudaModel, NanoAnswersAsTheReference) {
  const auto gpu_ops = [](bool deterministic) {
    return kernels::make_cuda_ops({.device = 0, .pack_threads = 0, .deterministic = deterministic});
  };
  if (!gpu_ops(false).ok()) GTEST_SKIP() << "no GPU";
  const char* given = std::getenv("PAGODA_NANO");
  const std::string directory = given != nullptr ? given : PAGODA_SOURCE_DIR "/models/nano";
  auto checkpoint = checkpoint::Checkpoint::open(directory);
  if (!checkpoint.ok()) GTEST_SKIP() << checkpoint.status().message();
  auto exact = Runner::load(*checkpoint, kernels::make_reference_ops(), runner_options(), nullptr);
  auto gpu = Runner::load(*checkpoint, gpu_ops(true).value(), runner_options(), nullptr);
  ASSERT_TRUE(exact.ok() && gpu.ok()) << exact.status().message() << gpu.status().message();

  const auto vocab = static_cast<std::int32_t>((*exact)->weights().shape.vocab_size);
  constexpr std::size_t kSequences = 10;
  constexpr int kSteps = 10;
  const auto all = prompts(kSequences, vocab);
  Batch expected(**exact, all), actual(**gpu, all);
  for (int i = 0; i < kSteps; ++i) {
    expected.step();
    actual.step();
  }
  int same = 0;
  for (std::size_t s = 0; s < kSequences; ++s)
    if (answer(expected.tokens()[s], all[s].size()) == answer(actual.tokens()[s], all[s].size())) ++same;
  std::printf("%d of %zu answers are those of the reference\n", same, kSequences);
  EXPECT_GE(same, 8);  // nonsense prompts: two likeliest tokens may be a rounding apart

  // Alone or in a batch, in graphs of different sizes, with prompts in one piece: the same to the last token.
  for (const std::size_t s : {0, 4, 9}) {
    Batch alone(**gpu, {all[s]});
    for (int i = 0; i < kSteps; ++i) alone.step();
    EXPECT_EQ(alone.tokens()[0], actual.tokens()[s]) << "sequence " << s;
  }
}

model::DenseShape small_shape() {
  model::DenseShape shape;
  shape.vocab_size = 3001;
  shape.hidden_size = 512;
  shape.intermediate_size = 1408;
  shape.num_layers = 3;
  shape.num_heads = 8;
  shape.num_kv_heads = 2;
  shape.head_dim = 128;
  return shape;
}

// The device feeds each token to the next step before the host has seen it.
TEST(CudaModel, StepsAheadGiveTheSameTokens) {
  if (ops_for("cuda") == nullptr) GTEST_SKIP() << "no GPU";
  const auto formats = model::named_formats("bf16", "");
  ASSERT_TRUE(formats.ok());
  auto runner = Runner::random(small_shape(), *formats, ops_for("cuda"), runner_options());
  ASSERT_TRUE(runner.ok());
  constexpr int kSteps = 60;
  for (const std::size_t count : {1, 7, 36}) {
    const auto all = prompts(count, 3001);
    for (const bool draws : {false, true}) {
      const std::vector<Sampling> samplings = samplings_of(count, draws);
      Batch in_step(**runner, all, samplings), ahead(**runner, all, samplings);
      for (int i = 0; i < kSteps; ++i) in_step.step();
      // Other sequences take all places that the first had on the device.
      Batch others(**runner, prompts(40, 3001), std::vector<Sampling>(40, {.repetition_penalty = 1.5f}));
      others.run_ahead(2);
      ahead.run_ahead(kSteps);
      EXPECT_EQ(ahead.tokens(), in_step.tokens()) << count << (draws ? " that draw" : " greedy");
    }
  }
}

// Prompts that join while others generate run in graphs of mixed steps, filled up.
TEST(CudaModel, PromptsThatJoinGiveTheSameTokens) {
  auto ops = kernels::make_cuda_ops({.device = 0, .pack_threads = 0, .deterministic = true});
  if (!ops.ok()) GTEST_SKIP() << "no GPU";
  const auto formats = model::named_formats("bf16", "");
  ASSERT_TRUE(formats.ok());
  auto runner = Runner::random(small_shape(), *formats, std::move(ops).value(), runner_options(64));
  ASSERT_TRUE(runner.ok());
  expect_joining_changes_nothing(**runner, prompts(36, 3001));
}

TEST(CudaModel, RandomWeightsInEveryFormat) {
  if (ops_for("cuda") == nullptr) GTEST_SKIP() << "no GPU";
  const model::DenseShape shape = small_shape();
  for (const char* format : {"bf16", "int8", "int4", "fp8"}) {
    auto formats = model::named_formats(format, "");
    ASSERT_TRUE(formats.ok());
    auto exact = Runner::random(shape, *formats, kernels::make_reference_ops(), runner_options());
    auto gpu = Runner::random(shape, *formats, ops_for("cuda"), runner_options());
    ASSERT_TRUE(exact.ok() && gpu.ok());
    for (const std::size_t s : {2, 28}) {
      const std::vector<std::vector<std::int32_t>> one = {prompts(36, 3001)[s]};
      const std::vector<float> expected = Batch(**exact, one).logits(), actual = Batch(**gpu, one).logits();
      double difference = 0, size = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        difference += std::pow(actual[i] - expected[i], 2);
        size += std::pow(expected[i], 2);
      }
      // FP8 rounds activations too where the library multiplies, that is, with more than 16 rows.
      const double tolerance = std::string_view(format) == "fp8" && one[0].size() > 16 ? 0.15 : 0.03;
      EXPECT_LT(std::sqrt(difference / size), tolerance) << format << ", sequence " << s;
    }
  }
}

}  // namespace
}  // namespace pagoda::execute

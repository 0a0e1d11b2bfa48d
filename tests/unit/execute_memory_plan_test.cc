#include "execute/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "execute/runner.h"

namespace pagoda::execute {
namespace {

using base::Code;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kKiB = 1024, kMiB = kKiB * 1024, kGiB = kMiB * 1024;

TEST(ParseBytes, Table) {
  const struct {
    const char* text;
    std::size_t bytes;
  } good[] = {
      {"0", 0},
      {"1", 1},
      {"1073741824", kGiB},
      {"2e9", 2000000000},
      {"17B", 17},
      {"4GiB", 4 * kGiB},
      {"512MiB", 512 * kMiB},
      {"64KiB", 64 * kKiB},
      {"1TiB", 1024 * kGiB},
      {"1.5GiB", kGiB + kGiB / 2},
      {".5MiB", kMiB / 2},
      {"4G", 4 * kGiB},
      {"3M", 3 * kMiB},
      {"2K", 2 * kKiB},
      {"1T", 1024 * kGiB},
      {"4GB", 4000000000},
      {"7MB", 7000000},
      {"9KB", 9000},
      {"1TB", 1000000000000},
      {"1000TiB", 1000 * 1024 * kGiB},
  };
  for (const auto& c : good) {
    const auto parsed = parse_bytes(c.text);
    ASSERT_TRUE(parsed.ok()) << c.text;
    EXPECT_EQ(*parsed, c.bytes) << c.text;
  }
}

TEST(ParseBytes, RefusesTheRest) {
  for (const char* text :
       {"",    " ",    "GiB",    "-1",   "-4GiB", "+4GiB",    "4 GiB", " 4GiB", "4GiB ", "4gib",  "4GiBs",
        "4Gi", "4PiB", "1,5GiB", "0x10", "1e400", "1e300GiB", "1e19",  "inf",   "nan",   "1..5G", "four"}) {
    const auto parsed = parse_bytes(text);
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << text;
    EXPECT_THAT(parsed.status().message(), HasSubstr(std::string("\"") + text + "\""));
  }
}

TEST(FormatBytes, Table) {
  EXPECT_EQ(format_bytes(0), "0.0 KiB");
  EXPECT_EQ(format_bytes(512), "0.5 KiB");
  EXPECT_EQ(format_bytes(64 * kKiB), "64.0 KiB");
  EXPECT_EQ(format_bytes(kMiB), "1.0 MiB");
  EXPECT_EQ(format_bytes(kMiB * 3 / 2), "1.5 MiB");
  EXPECT_EQ(format_bytes(kGiB), "1.00 GiB");
  EXPECT_EQ(format_bytes(kGiB * 18 / 5), "3.60 GiB");
  EXPECT_EQ(format_bytes(2048 * kGiB), "2048.00 GiB");
}

TEST(AvailableMemory, IsOfThisMachine) {
  EXPECT_GT(available_memory_bytes(), kMiB);
  EXPECT_LT(available_memory_bytes(), std::size_t{1} << 50);  // a number was read, not "unlimited"
}

base::Result<std::unique_ptr<Runner>> tiny_runner(const RunnerOptions& options) {
  model::DenseShape shape;
  shape.vocab_size = 100;
  shape.hidden_size = 32;
  shape.intermediate_size = 64;
  shape.num_layers = 2;
  shape.num_heads = 2;
  shape.num_kv_heads = 1;
  shape.head_dim = 16;
  kernels::CpuOptions cpu;
  cpu.threads = 1;
  return Runner::random(shape, {kernels::WeightFormat::kBF16, kernels::WeightFormat::kBF16},
                        kernels::make_cpu_ops(cpu), options);
}

RunnerOptions small_options() {
  RunnerOptions options;
  options.max_num_seqs = 4;
  options.max_num_batched_tokens = 64;
  options.max_model_len = 128;
  return options;
}

TEST(Runner, RefusesBadOptionsByTheirFlag) {
  const struct {
    std::function<void(RunnerOptions&)> change;
    Code code;
    std::vector<std::string> words;
  } cases[] = {
      {[](auto& o) { o.block_size = 12; }, Code::kInvalidArgument, {"--block-size", "12", "power of two"}},
      {[](auto& o) { o.block_size = 4; }, Code::kInvalidArgument, {"--block-size", "4"}},
      {[](auto& o) { o.block_size = 1024; }, Code::kInvalidArgument, {"--block-size", "1024"}},
      {[](auto& o) { o.kv_format = kernels::KvFormat::kInt8; },
       Code::kInvalidArgument,
       {"--kv-cache-dtype", "need a GPU"}},
      {[](auto& o) { o.block_size = 0; }, Code::kInvalidArgument, {"--block-size", "0"}},
      {[](auto& o) { o.block_size = -16; }, Code::kInvalidArgument, {"--block-size", "-16"}},
      {[](auto& o) { o.max_num_seqs = -1; }, Code::kInvalidArgument, {"--max-num-seqs", "-1"}},
      {[](auto& o) { o.max_num_seqs = 5000; }, Code::kInvalidArgument, {"--max-num-seqs", "5000", "4096"}},
      {[](auto& o) { o.max_num_batched_tokens = 3; },
       Code::kInvalidArgument,
       {"--max-num-batched-tokens", "3", "--max-num-seqs (4)"}},
      {[](auto& o) { o.max_num_batched_tokens = 1 << 20; },
       Code::kInvalidArgument,
       {"--max-num-batched-tokens"}},
      {[](auto& o) { o.max_model_len = -1; }, Code::kInvalidArgument, {"--max-model-len", "-1"}},
      {[](auto& o) { o.max_model_len = (1 << 18) + 1; },
       Code::kInvalidArgument,
       {"--max-model-len", "262145", "262144"}},
      {[](auto& o) { o.kv_cache_bytes = 100; }, Code::kInvalidArgument, {"--kv-cache-memory", "block"}},
      {[](auto& o) { o.kv_cache_bytes = std::size_t{1} << 49; },
       Code::kResourceExhausted,
       {"--kv-cache-memory", "available"}},
  };
  for (const auto& c : cases) {
    RunnerOptions options = small_options();
    c.change(options);
    const auto runner = tiny_runner(options);
    ASSERT_FALSE(runner.ok()) << c.words[0];
    EXPECT_EQ(runner.status().code(), c.code) << runner.status().message();
    for (const std::string& word : c.words) EXPECT_THAT(runner.status().message(), HasSubstr(word));
  }
}

TEST(Runner, WeightsThatDoNotFitAreRefusedBeforeAnythingIsAllocated) {
  model::DenseShape shape;
  shape.vocab_size = 1 << 22;
  shape.hidden_size = 1 << 16;
  shape.intermediate_size = 1 << 16;
  shape.num_layers = 1000;
  shape.num_heads = 512;
  shape.num_kv_heads = 8;
  shape.head_dim = 128;
  const auto runner = Runner::random(shape, {kernels::WeightFormat::kBF16, kernels::WeightFormat::kBF16},
                                     kernels::make_reference_ops(), small_options());
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(runner.status().message(), HasSubstr("weights"));
}

TEST(Runner, DecidesTheZeros) {
  RunnerOptions options = small_options();
  auto runner = tiny_runner(options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  EXPECT_EQ((*runner)->options().num_kv_blocks, 4 * 128 / 16);  // room for all sequences at full length
  EXPECT_EQ((*runner)->memory().kv_tokens(), 4 * 128);

  options.max_model_len = 0;
  runner = tiny_runner(options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  EXPECT_EQ((*runner)->options().max_model_len, 8192);
}

TEST(Runner, KvCacheMemoryIsAnUpperBound) {
  RunnerOptions options = small_options();
  options.kv_cache_bytes = 100000;
  const auto runner = tiny_runner(options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  const MemoryPlan& plan = (*runner)->memory();
  EXPECT_LE(plan.kv_cache_bytes, 100000u);
  EXPECT_GT(plan.kv_cache_bytes + plan.kv_block_bytes, 100000u);  // and no block less than fits
  EXPECT_EQ(plan.kv_cache_bytes, plan.kv_blocks * plan.kv_block_bytes);
}

// What the table says is what is held.
TEST(Runner, ThePlanIsWhatIsAllocated) {
  const auto in_use = [](tensor::MemoryTag tag) { return tensor::memory_in_use(tag); };
  const std::size_t kv = in_use(tensor::MemoryTag::kKvCache), weights = in_use(tensor::MemoryTag::kWeights);
  {
    const auto runner = tiny_runner(small_options());
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    const MemoryPlan& plan = (*runner)->memory();
    EXPECT_EQ(in_use(tensor::MemoryTag::kKvCache) - kv, plan.kv_cache_bytes);
    EXPECT_EQ(in_use(tensor::MemoryTag::kWeights) - weights, plan.weights_bytes);
    EXPECT_EQ(plan.total_bytes(), plan.weights_bytes + plan.kv_cache_bytes + plan.activations_bytes);
    EXPECT_LE(plan.total_bytes(), plan.budget_bytes);
    for (const char* word :
         {"weights", "kv cache", "activations", "total", "32 blocks of 16 tokens = 512 tokens"})
      EXPECT_THAT(plan.table(), HasSubstr(word));
  }
  EXPECT_EQ(in_use(tensor::MemoryTag::kKvCache), kv);
  EXPECT_EQ(in_use(tensor::MemoryTag::kWeights), weights);
}

TEST(MemoryPlan, WhatADriverTakesHasARowAndCounts) {
  MemoryPlan plan{.weights_bytes = 3 << 20, .activations_bytes = 1 << 20};
  EXPECT_THAT(plan.table(), Not(HasSubstr("graphs")));
  plan.driver_bytes = 2 << 20;
  EXPECT_EQ(plan.total_bytes(), 6u << 20);
  EXPECT_THAT(plan.table(), HasSubstr("graphs            2.0 MiB"));
}

TEST(Runner, ActivationsArePlannedToTheByte) {
  const std::size_t before = tensor::memory_in_use(tensor::MemoryTag::kActivations);
  const auto runner = tiny_runner(small_options());
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  EXPECT_EQ(tensor::memory_in_use(tensor::MemoryTag::kActivations) - before,
            (*runner)->memory().activations_bytes);
}

}  // namespace
}  // namespace pagoda::execute

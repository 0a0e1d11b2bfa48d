// The executor of a device over one that is made of host memory and the reference's operators. So every
// machine tests how batches are filled up, what graphs find where, and that a step ahead does not touch what
// the one before still reads.

#include "model/load_dense.h"
#include "step_batch.h"
#include "unit/late_device.h"

namespace pagoda::execute {
namespace {

constexpr std::int32_t kVocab = 97;

model::DenseShape tiny_shape() {
  model::DenseShape shape;
  shape.vocab_size = kVocab;
  shape.hidden_size = 32;
  shape.intermediate_size = 48;
  shape.num_layers = 2;
  shape.num_heads = 4;
  shape.num_kv_heads = 2;
  shape.head_dim = 8;
  return shape;
}

std::unique_ptr<Runner> runner_over(std::unique_ptr<kernels::Ops> ops, std::int32_t max_num_seqs,
                                    std::int32_t max_num_batched_tokens) {
  const auto formats = model::named_formats("bf16", "");
  auto runner = Runner::random(tiny_shape(), *formats, std::move(ops),
                               runner_options(max_num_seqs, max_num_batched_tokens));
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  return std::move(runner).value();
}

std::unique_ptr<LateDevice> late_device() {
  return std::make_unique<LateDevice>(kernels::make_reference_ops());
}

TEST(CudaExecutor, PromptsThatJoinGiveTheSameTokens) {
  for (const std::int32_t max_num_seqs : {36, 64, 256}) {
    SCOPED_TRACE(max_num_seqs);
    auto ops = late_device();
    const LateDevice& device = *ops;
    const auto runner = runner_over(std::move(ops), max_num_seqs, 1024);
    expect_joining_changes_nothing(*runner, prompts(36, kVocab));
    EXPECT_GT(device.graphs_recorded(), 8);
    EXPECT_GT(device.graphs_launched(), 100);
  }
}

// Batches smaller than what graphs are for: graphs of what fits, or none.
TEST(CudaExecutor, SmallLimits) {
  for (const auto& [sequences, tokens] : {std::pair{1, 34}, {3, 40}, {9, 64}, {9, 300}}) {
    SCOPED_TRACE(sequences);
    const auto runner = runner_over(late_device(), sequences, tokens);
    auto some = prompts(static_cast<std::size_t>(sequences), kVocab);
    if (sequences > 3 && tokens < 100)
      for (auto& prompt : some) prompt.resize(std::min<std::size_t>(prompt.size(), 7));
    expect_joining_changes_nothing(*runner, some);
  }
}

// Greedy tokens are those of the executor of the host.
TEST(CudaExecutor, TokensAreTheHosts) {
  const auto device = runner_over(late_device(), 64, 1024),
             host = runner_over(kernels::make_reference_ops(), 64, 1024);
  const auto all = prompts(24, kVocab);
  Batch actual(*device, all), expected(*host, all);
  for (const std::size_t joined : {3, 4, 11, 17, 24, 24}) {
    actual.join(joined);
    expected.join(joined);
    actual.step();
    expected.step();
  }
  EXPECT_EQ(actual.tokens(), expected.tokens());
}

}  // namespace
}  // namespace pagoda::execute

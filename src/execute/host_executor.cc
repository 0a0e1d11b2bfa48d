#include "execute/executor.h"

namespace pagoda::execute {
namespace {

class HostExecutor final : public Executor {
 public:
  HostExecutor(const ModelState& state, const ExecutorLimits& limits) : state_(state) {
    batch_.reserve(limits.max_tokens, limits.max_sequences, limits.max_blocks);
  }

  tensor::View logits(std::span<const StepSequence> sequences) override {
    batch_.build(sequences);
    for (std::size_t i = 0; i < batch_.slices.size(); ++i)
      batch_.slices[i].block_table = batch_.block_ids.data() + batch_.first_block[i];
    const model::Batch batch{batch_.tokens,
                             batch_.positions,
                             {batch_.slices, batch_.num_decodes, batch_.max_queries, batch_.max_context},
                             batch_.outputs};
    return model::forward(state_.ops, state_.weights, state_.rope, batch, state_.kv_cache, state_.workspace);
  }

  void submit(std::span<const StepSequence> sequences) override {
    sampled_ = sample_rows(sampler_, logits(sequences), sequences);
  }
  std::vector<SampledToken> collect() override { return std::move(sampled_); }

 private:
  ModelState state_;
  BatchLayout batch_;
  Sampler sampler_;
  std::vector<SampledToken> sampled_;
};

}  // namespace

std::vector<SampledToken> sample_rows(Sampler& sampler, tensor::View logits,
                                      std::span<const StepSequence> sequences) {
  std::vector<SampledToken> sampled(sequences.size());
  std::int64_t row = 0;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (!sequences[i].part->samples) continue;
    sampled[i] = sampler.sample({logits.row(row++), static_cast<std::size_t>(logits.cols)},
                                sequences[i].history, *sequences[i].sampling);
  }
  return sampled;
}

std::unique_ptr<Executor> make_host_executor(const ModelState& state, const ExecutorLimits& limits) {
  return std::make_unique<HostExecutor>(state, limits);
}

}  // namespace pagoda::execute

#pragma once
// Runs steps: owns the weights, the KV memory and the activations, turns a plan into a batch, calls the
// model, samples. Owned by the engine thread. The plan's ids and counts come from schedule/; the bytes behind
// them are known only here.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "execute/memory_plan.h"
#include "execute/sampling.h"
#include "kernels/ops.h"
#include "model/hunyuan_dense.h"
#include "model/load_dense.h"
#include "schedule/scheduler.h"

namespace pagoda::execute {

struct RunnerOptions {
  std::int32_t block_size = 16;  // tokens; a power of two from 8 to 512
  std::int32_t max_num_seqs = 64;
  std::int32_t max_num_batched_tokens = 512;
  std::int32_t max_model_len = 0;  // 0: what the model says, at most 8192
  std::size_t kv_cache_bytes = 0;  // 0: room for max_num_seqs full-length sequences, at most a quarter of the
                                   // memory that is available beside the weights
  std::int32_t num_kv_blocks = 0;  // not 0: exactly so many (tests)
  // Of weights that the checkpoint has as floats; integers and kFp8 round them while loading
  // (model/load_dense.h).
  kernels::WeightFormat float_format = kernels::WeightFormat::kBF16;
};

// One sequence of a step, in the order of the plan.
struct StepSequence {
  const schedule::ScheduledSequence* part = nullptr;
  std::span<const std::int32_t> history;  // prompt and answer so far
  const Sampling* sampling = nullptr;
};

class Runner {
 public:
  // Plans the memory (refusing what does not fit before anything is loaded), loads, allocates.
  static base::Result<std::unique_ptr<Runner>> load(const checkpoint::Checkpoint& checkpoint,
                                                    std::unique_ptr<kernels::Ops> ops,
                                                    const RunnerOptions& options,
                                                    const std::function<void(double)>& progress);
  // The same with random weights.
  static base::Result<std::unique_ptr<Runner>> random(const model::DenseShape& shape,
                                                      model::WeightFormats formats,
                                                      std::unique_ptr<kernels::Ops> ops,
                                                      const RunnerOptions& options);

  // Computes the step; result i belongs to sequences[i] and is meaningful if that one samples.
  std::vector<SampledToken> step(std::span<const StepSequence> sequences);
  // The logits of the last step's sampling rows, before sampling [outputs, vocab]; for tests.
  tensor::View compute(std::span<const StepSequence> sequences);

  const MemoryPlan& memory() const { return memory_; }
  const RunnerOptions& options() const { return options_; }  // with the zeros decided
  const model::DenseWeights& weights() const { return weights_; }
  kernels::Ops& ops() { return *ops_; }

 private:
  Runner(std::unique_ptr<kernels::Ops> ops, const RunnerOptions& options, const MemoryPlan& memory,
         model::DenseWeights weights);

  std::unique_ptr<kernels::Ops> ops_;
  RunnerOptions options_;
  MemoryPlan memory_;
  model::DenseWeights weights_;
  tensor::Buffer kv_memory_;
  kernels::KvCache kv_cache_;
  model::RopeTable rope_;
  model::DenseWorkspace workspace_;
  Sampler sampler_;
  // The batch under construction; capacity is reserved for the largest step.
  std::vector<std::int32_t> tokens_, positions_, outputs_, block_ids_;
  std::vector<kernels::SequenceSlice> slices_;
};

}  // namespace pagoda::execute

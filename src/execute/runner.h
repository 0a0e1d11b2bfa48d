#pragma once
// Runs steps: owns the weights, the KV memory and the activations, and the executor that computes and samples
// with them. Owned by the engine thread. The plan's ids and counts come from schedule/; the bytes behind
// them are known only here.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "execute/executor.h"
#include "execute/memory_plan.h"
#include "kernels/ops.h"
#include "model/hunyuan_dense.h"
#include "model/load_dense.h"

namespace pagoda::execute {

constexpr std::int32_t default_max_num_seqs(bool on_device) { return on_device ? 256 : 64; }

struct RunnerOptions {
  std::int32_t block_size = 16;  // tokens; a power of two from 8 to 512
  kernels::KvFormat kv_format = kernels::KvFormat::kBF16;
  std::int32_t max_num_seqs = 0;            // 0: default_max_num_seqs()
  std::int32_t max_num_batched_tokens = 0;  // 0: 256 on a CPU, 2048 on a GPU
  std::int32_t max_model_len = 0;           // 0: what the model says, at most 8192
  std::size_t kv_cache_bytes = 0;  // 0: room for max_num_seqs full-length sequences, at most a quarter of the
                                   // memory that is available beside the weights (on a GPU: all of it)
  double gpu_memory_utilization = 0.9;  // of the free device memory, what may be planned with
  std::int32_t num_kv_blocks = 0;       // not 0: exactly so many (tests)
  // Of weights that the checkpoint has as floats; integers and kFp8 round them while loading
  // (model/load_dense.h).
  kernels::WeightFormat float_format = kernels::WeightFormat::kBF16;
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

  // As of Executor: executor.h.
  void submit(std::span<const StepSequence> sequences) { executor_->submit(sequences); }
  std::vector<SampledToken> collect() { return executor_->collect(); }
  bool feeds_itself(const Sampling& sampling) const { return executor_->feeds_itself(sampling); }
  void start_timing() { executor_->start_timing(); }
  void stop_timing() { executor_->stop_timing(); }
  DeviceTime device_time() const { return executor_->device_time(); }
  // Both at once, with nothing else in flight.
  std::vector<SampledToken> step(std::span<const StepSequence> sequences) {
    submit(sequences);
    return collect();
  }
  // The logits of the step's sampling rows, before sampling [outputs, vocab]; for tests.
  tensor::View compute(std::span<const StepSequence> sequences) { return executor_->logits(sequences); }

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
  std::unique_ptr<Executor> executor_;
};

}  // namespace pagoda::execute

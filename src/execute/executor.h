#pragma once
// How a batch is computed and sampled from: on the host, or on a device with graphs and the sampler there.
// Owned by the runner; the engine's thread calls.

#include <memory>
#include <span>
#include <vector>

#include "execute/batch.h"
#include "execute/sampling.h"
#include "kernels/ops.h"
#include "model/hunyuan_dense.h"

namespace pagoda::execute {

// What an executor computes with; lives in the runner.
struct ModelState {
  kernels::Ops& ops;
  const model::DenseWeights& weights;
  const model::RopeTable& rope;
  const kernels::KvCache& kv_cache;
  model::DenseWorkspace& workspace;
};

struct ExecutorLimits {
  std::int32_t max_tokens = 0;     // of a step
  std::int32_t max_sequences = 0;  // of a step
  std::int32_t max_blocks = 0;     // entries of all block tables of a step
  std::int32_t max_model_len = 0;  // tokens of a sequence
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Result i belongs to sequences[i] and is meaningful if that one samples.
  virtual std::vector<SampledToken> step(std::span<const StepSequence> sequences) = 0;
  // The logits of the sampling rows [outputs, vocab], in host memory until the next call.
  virtual tensor::View logits(std::span<const StepSequence> sequences) = 0;
};

// Samples on the host from logits [outputs, vocab] there, which are overwritten.
std::vector<SampledToken> sample_rows(Sampler& sampler, tensor::View logits,
                                      std::span<const StepSequence> sequences);

std::unique_ptr<Executor> make_host_executor(const ModelState& state, const ExecutorLimits& limits);
// `state.ops` must be a kernels::CudaBackend.
std::unique_ptr<Executor> make_cuda_executor(const ModelState& state, const ExecutorLimits& limits);
// Device and pinned memory that the latter takes beside the model's.
std::size_t cuda_executor_bytes(const model::DenseShape& shape, const ExecutorLimits& limits);

}  // namespace pagoda::execute

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

// Of a device: in steps, and between one step and the next.
struct DeviceTime {
  double busy_seconds = 0, idle_seconds = 0;
  double idle_fraction() const { return idle_seconds / (busy_seconds + idle_seconds); }
  DeviceTime operator-(const DeviceTime& before) const {
    return {busy_seconds - before.busy_seconds, idle_seconds - before.idle_seconds};
  }
};

class Executor {
 public:
  // Steps that are submitted and not collected: the one on the device, and one behind it.
  static constexpr std::int32_t kMaxInFlight = 2;

  virtual ~Executor() = default;
  // Enqueues a step; `sequences` are not needed after the call. Steps are computed in the order of
  // submission.
  virtual void submit(std::span<const StepSequence> sequences) = 0;
  // Waits for the step that was submitted longest ago. Result i belongs to its sequences[i] and is meaningful
  // if that one samples.
  virtual std::vector<SampledToken> collect() = 0;
  // Whether a token that is chosen so is there for the next step before it is collected:
  // schedule::kFutureToken stands for it then. A step with other sequences must be collected before the next
  // is planned, and all before it must be collected before it is.
  virtual bool feeds_itself(const Sampling&) const { return false; }
  // The logits of the sampling rows [outputs, vocab], in host memory until the next call. Nothing may be in
  // flight.
  virtual tensor::View logits(std::span<const StepSequence> sequences) = 0;

  // Times the device's steps from the next one on, at a small cost; what was before that does not count as
  // idle.
  virtual void start_timing() {}
  virtual void stop_timing() {}
  // Of the steps collected since the first start_timing().
  virtual DeviceTime device_time() const { return {}; }
};

// Samples on the host from logits [outputs, vocab] there, which are overwritten.
std::vector<SampledToken> sample_rows(Sampler& sampler, tensor::View logits,
                                      std::span<const StepSequence> sequences);

std::unique_ptr<Executor> make_host_executor(const ModelState& state, const ExecutorLimits& limits);
// `state.ops` must be a kernels::CudaBackend.
std::unique_ptr<Executor> make_cuda_executor(const ModelState& state, const ExecutorLimits& limits);
// Device memory that the latter takes beside the model's.
std::size_t cuda_executor_bytes(const model::DenseShape& shape, const ExecutorLimits& limits);
// What the driver takes for all graphs that steps within `limits` can be recorded as.
std::size_t cuda_graphs_bytes(const ExecutorLimits& limits);

}  // namespace pagoda::execute

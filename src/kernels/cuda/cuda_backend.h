#pragma once
// The CUDA backend as execute/ sees it: the operators, and what a step on a device needs besides them. No
// CUDA header is needed to use it. Everything is enqueued on one stream, in order; one thread calls.
//
// A failing device call is the end of the process (a message, exit code 70): nothing on the device can be
// trusted afterwards, and a supervisor restarts a process better than it mends a context.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "kernels/cuda/sample_row.h"
#include "kernels/ops.h"

namespace pagoda::kernels {

struct CudaOptions {
  int device = 0;
  int pack_threads = 0;        // host threads that prepare weights at load; 0: one a core
  bool deterministic = false;  // the same tokens whatever else is in the batch: no library GEMM
};

struct CudaDevice {
  std::string name;            // "NVIDIA H200"
  int compute_capability = 0;  // 90
  std::size_t total_bytes = 0, free_bytes = 0;
};
// kFailedPrecondition if there is no usable GPU, no driver, or this program was built without CUDA.
base::Result<CudaDevice> find_cuda_device(int device);

class CudaBackend : public Ops {
 public:
  // Pinned host memory, for the copies below.
  virtual tensor::Buffer allocate_pinned(std::size_t bytes) = 0;
  virtual void upload(void* device, const void* pinned, std::size_t bytes) = 0;
  virtual void download(void* pinned, const void* device, std::size_t bytes) = 0;
  // Marks the end of what was enqueued so far; wait() returns when the mark is reached.
  virtual void mark(int event) = 0;
  virtual void wait(int event) = 0;
  static constexpr int kEvents = 4;
  virtual void synchronize() = 0;
  // Notes the device's clock when all enqueued so far is done; readable once a mark behind it is reached.
  virtual void mark_time(int point) = 0;
  virtual double seconds_between(int first_point, int second_point) = 0;
  static constexpr int kTimePoints = 8;

  // Records what `work` enqueues instead of running it; all that was enqueued before has run then, and
  // operators may have tried on the device which of their kernels are fastest. launch() may be called any
  // number of times.
  class Graph {
   public:
    virtual ~Graph() = default;
  };
  virtual std::unique_ptr<Graph> capture(const std::function<void()>& work) = 0;
  virtual void launch(const Graph& graph) = 0;

  // tokens[i] < 0 means: the token that was last sampled into slot -tokens[i] - 1. Resolves in place.
  virtual void resolve_tokens(std::int32_t* tokens, std::int64_t count, const std::int32_t* sampled) = 0;
  // out[i] = sampled[rows[i].slot] = the token that rows[i] (on the device) draws from logits.row(i), which
  // is overwritten. seen [slots, ceil(vocab / 32)]: a bit a token of the sequence, updated.
  virtual void sample(tensor::View logits, const SampleRow* rows, bool all_greedy, std::int32_t* sampled,
                      std::int32_t* out, std::uint32_t* seen) = 0;
  // Clears the bits of `slot` and sets those of tokens [count].
  virtual void set_seen(std::uint32_t* seen, std::int64_t vocab, std::int32_t slot,
                        const std::int32_t* tokens, std::int64_t count) = 0;

  virtual const CudaDevice& device() const = 0;
  // Bytes a second of a large device read, and bf16 operations a second of a large matrix product: the limits
  // beside which `pagoda bench` prints.
  virtual double measure_read_bytes_per_second() = 0;
  virtual double measure_bf16_operations_per_second() = 0;
};

base::Result<std::unique_ptr<CudaBackend>> make_cuda_ops(const CudaOptions& options);

}  // namespace pagoda::kernels

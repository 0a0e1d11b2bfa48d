#pragma once
// Weights from their source to the device, in the layouts of linear_format.cuh. Host threads write pinned
// memory in turns, while the device copies, or rearranges, that of the turn before.

#include "base/thread_pool.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/weight.h"

namespace pagoda::kernels::cuda {

class Packer {
 public:
  static constexpr std::size_t kStagingBytes = std::size_t{32} << 20;  // of a turn

  explicit Packer(int threads);  // 0: one a core
  ~Packer();

  // The format may differ from the source's: what the kernels have no layout for (grouped INT8, zero points
  // of INT8, groups of INT4 that are neither 32, 64 nor a multiple of 128) is stored as BF16.
  Weight pack(const WeightSource& source, DeviceArena& arena);

 private:
  using Write = std::function<void(std::int64_t begin, std::int64_t end, std::byte* out)>;
  using Send = std::function<void(std::int64_t first, std::int64_t count, const std::byte* staging)>;

  // Threads write units of `unit_bytes` to pinned memory, as many as it holds; send() enqueues what reads
  // them there.
  void stream(std::int64_t units, std::size_t unit_bytes, const Write& write, const Send& send);
  static Send copy_to(std::byte* device, std::size_t unit_bytes);
  void copy(std::byte* device, const void* host, std::size_t bytes);
  void pack_rows(const WeightSource& source, Weight& weight, DeviceArena& arena);
  void pack_tiles(const WeightSource& source, Weight& weight, DeviceArena& arena);
  void rearrange(const WeightSource& source, const Weight& weight);

  base::ThreadPool threads_;
  tensor::Buffer staging_[2];
  void* copied_[2] = {};  // events
  int turn_ = 0;
};

}  // namespace pagoda::kernels::cuda

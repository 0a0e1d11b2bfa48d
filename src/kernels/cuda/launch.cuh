#pragma once
// Launches with programmatic dependent launch where the device has it.

#include <utility>

#include "kernels/cuda/check.cuh"

namespace pagoda::kernels::cuda {

// Before the first launch of a kernel with so much dynamic shared memory: a block gets 48 KiB unasked.
template <auto kKernel, std::size_t kBytes>
void allow_shared_memory() {
  if constexpr (kBytes > 48 * 1024) {
    static const bool allowed = [] {
      CUDA_CHECK(cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(kBytes)));
      return true;
    }();
    (void)allowed;
  }
}

struct Launcher {
  cudaStream_t stream = nullptr;
  bool overlap = false;  // programmatic dependent launch (sm_90)
  bool same_in_any_batch =
      false;                // sums must not depend on what else is computed with them (--deterministic)
  int multiprocessors = 1;  // of the device
  std::size_t block_shared_bytes = 48 * 1024;  // that a block can have
  unsigned cluster = 1;                        // blocks that share their memory (sm_90)

  template <typename... Parameters, typename... Arguments>
  void operator()(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                  Arguments&&... arguments) const {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    cudaLaunchAttribute attributes[2] = {};
    attributes[0].id = cudaLaunchAttributeClusterDimension;
    attributes[0].val.clusterDim = {cluster, 1, 1};
    attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[1].val.programmaticStreamSerializationAllowed = 1;
    config.attrs = cluster > 1 ? attributes : attributes + 1;
    config.numAttrs = (cluster > 1 ? 1 : 0) + (overlap ? 1 : 0);
    CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, Parameters(std::forward<Arguments>(arguments))...));
  }
};

}  // namespace pagoda::kernels::cuda

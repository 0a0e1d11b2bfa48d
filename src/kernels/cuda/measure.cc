#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/limits.cuh"

namespace pagoda::kernels::cuda {
namespace {

// Ordinary allocations: they are gone when the measurement is over.
struct Scratch {
  void* data = nullptr;
  explicit Scratch(std::size_t bytes) { CUDA_CHECK(cudaMalloc(&data, bytes)); }
  ~Scratch() { cudaFree(data); }
};

}  // namespace

double CudaOps::measure_read_bytes_per_second() {
  constexpr std::size_t kBytes = std::size_t{1} << 30;  // far more than any L2
  const Scratch data(kBytes), out(sizeof(int));
  fill_random(launch_.stream, data.data, kBytes / 2);
  return kBytes /
         time_best(launch_.stream, 6, [&] { read_bytes(launch_.stream, data.data, kBytes, out.data); });
}

double CudaOps::measure_bf16_operations_per_second() {
  if (gemm_ == nullptr) return 0;
  constexpr std::int64_t kSide = 8192;
  const Scratch x(kSide * kSide * 2), w(kSide * kSide * 2), out(kSide * kSide * 2),
      workspace(LibraryGemm::kWorkspaceBytes);
  fill_random(launch_.stream, x.data, kSide * kSide);
  fill_random(launch_.stream, w.data, kSide * kSide);
  const LibraryGemm::Product product{.m = kSide,
                                     .n = kSide,
                                     .k = kSide,
                                     .x_stride = kSide,
                                     .w_stride = kSide,
                                     .out_stride = kSide,
                                     .out_bf16 = true};
  const double seconds = time_best(launch_.stream, 6, [&] {
    gemm_->multiply(product, {.x = x.data, .w = w.data, .out = out.data}, workspace.data, launch_.stream);
  });
  return 2.0 * kSide * kSide * kSide / seconds;
}

}  // namespace pagoda::kernels::cuda

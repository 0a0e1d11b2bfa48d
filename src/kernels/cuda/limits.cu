// What this GPU can do at most: the figures that benchmarks are printed beside.

#include "kernels/cuda/limits.cuh"

#include <algorithm>

#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {
namespace {

__global__ void read_all(const uint4* data, std::size_t count, std::uint32_t* out) {
  constexpr int kAhead = 8;
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  std::uint32_t mix = 0;
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step * kAhead) {
    uint4 value[kAhead] = {};
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (i + a * step < count) value[a] = load_stream(data + i + a * step);
#pragma unroll
    for (int a = 0; a < kAhead; ++a) mix ^= value[a].x ^ value[a].y ^ value[a].z ^ value[a].w;
  }
  if (mix == 0x12345678u) *out = mix;  // keeps the reads
}

__global__ void fill(__nv_bfloat16* data, std::size_t count) {
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += static_cast<std::size_t>(gridDim.x) * blockDim.x) {
    std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761u;
    x ^= x >> 15;
    data[i] = __float2bfloat16(static_cast<float>(x & 0xffff) / 32768.0f - 1.0f);
  }
}

}  // namespace

double time_best(cudaStream_t stream, int rounds, const std::function<void()>& work) {
  cudaEvent_t begin, end;
  CUDA_CHECK(cudaEventCreate(&begin));
  CUDA_CHECK(cudaEventCreate(&end));
  float best = 1e30f;
  for (int i = 0; i < rounds; ++i) {
    CUDA_CHECK(cudaEventRecord(begin, stream));
    work();
    CUDA_CHECK(cudaEventRecord(end, stream));
    CUDA_CHECK(cudaEventSynchronize(end));
    float milliseconds = 0;
    CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
    if (i > 0) best = std::min(best, milliseconds);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best / 1e3;
}

void fill_random(cudaStream_t stream, void* data, std::size_t bf16_values) {
  fill<<<1024, 256, 0, stream>>>(static_cast<__nv_bfloat16*>(data), bf16_values);
  CUDA_CHECK(cudaGetLastError());
}

void read_bytes(cudaStream_t stream, const void* data, std::size_t bytes, void* out) {
  read_all<<<132 * 8, 256, 0, stream>>>(static_cast<const uint4*>(data), bytes / 16,
                                        static_cast<std::uint32_t*>(out));
  CUDA_CHECK(cudaGetLastError());
}

}  // namespace pagoda::kernels::cuda

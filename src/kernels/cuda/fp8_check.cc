#include "kernels/cuda/fp8_check.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/rows.cuh"
#include "tensor/dtype.h"

namespace pagoda::kernels::cuda {
namespace {

constexpr std::int64_t kRows = 48, kOut = 64, kIn = 128;

// Between -1 and 1, the same each time.
float value(std::int64_t i) { return static_cast<float>((i * 7919 + 12345) % 2001 - 1000) / 1000.0f; }
float row_size(std::int64_t row) { return 0.25f + 0.5f * static_cast<float>(row % 5); }

template <typename T>
T* put(DeviceArena& arena, std::vector<tensor::Buffer>& kept, const std::vector<T>& host) {
  kept.push_back(arena.allocate(tensor::MemoryTag::kActivations, host.size() * sizeof(T)));
  CUDA_CHECK(cudaMemcpy(kept.back().data(), host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return kept.back().as<T>();
}

}  // namespace

bool fp8_products_are_right(LibraryGemm& gemm, const Launcher& launch) {
  const LibraryGemm::Product product{
      .m = kRows, .n = kOut, .k = kIn, .x_stride = kIn, .w_stride = kIn, .out_stride = kOut, .fp8 = true};
  if (!gemm.can_multiply(product)) return false;
  std::vector<std::uint16_t> x(kRows * kIn);
  std::vector<std::uint8_t> w(kOut * kIn);
  std::vector<float> w_scales(kOut), out(kRows * kOut);
  for (std::int64_t i = 0; i < kRows * kIn; ++i)
    x[i] = tensor::to_bfloat16(value(i) * row_size(i / kIn)).bits;
  for (std::int64_t i = 0; i < kOut * kIn; ++i) w[i] = tensor::float_to_float8_e4m3(100 * value(3 * i + 1));
  for (std::int64_t row = 0; row < kOut; ++row) w_scales[row] = 0.01f * row_size(row + 2);

  DeviceArena arena;
  std::vector<tensor::Buffer> kept;
  auto* device_x = put(arena, kept, x);
  auto* device_w = put(arena, kept, w);
  auto* device_scales = put(arena, kept, w_scales);
  auto* device_out = put(arena, kept, out);
  auto* x_scales = put(arena, kept, std::vector<float>(kRows));
  auto* x_bytes = reinterpret_cast<std::byte*>(put(arena, kept, std::vector<std::uint8_t>(kRows * kIn)));
  kept.push_back(arena.allocate(tensor::MemoryTag::kActivations, LibraryGemm::kWorkspaceBytes));
  launch_quantize_rows(launch, reinterpret_cast<__nv_bfloat16*>(device_x), kIn, kRows, kIn, {},
                       {x_bytes, x_scales});
  gemm.multiply(
      product,
      {.x = x_bytes, .w = device_w, .x_scales = x_scales, .w_scales = device_scales, .out = device_out},
      kept.back().data(), launch.stream);
  CUDA_CHECK(cudaStreamSynchronize(launch.stream));
  CUDA_CHECK(cudaMemcpy(out.data(), device_out, out.size() * sizeof(float), cudaMemcpyDeviceToHost));

  double difference = 0, size = 0;
  for (std::int64_t m = 0; m < kRows; ++m)
    for (std::int64_t n = 0; n < kOut; ++n) {
      double expected = 0;
      for (std::int64_t k = 0; k < kIn; ++k)
        expected += static_cast<double>(tensor::to_float(tensor::BFloat16{x[m * kIn + k]})) *
                    tensor::float8_e4m3_to_float(w[n * kIn + k]) * w_scales[n];
      difference += std::pow(out[m * kOut + n] - expected, 2);
      size += expected * expected;
    }
  constexpr double kRounding = 0.06;  // of x to three bits
  return std::isfinite(difference) && difference < kRounding * kRounding * size;
}

}  // namespace pagoda::kernels::cuda

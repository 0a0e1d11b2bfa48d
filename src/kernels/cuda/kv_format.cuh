#pragma once
// Pages of the KV cache (kv_layout.cuh) to bf16 fragments and back.

#include <cuda_fp8.h>

#include "kernels/cuda/kv_layout.cuh"
#include "kernels/cuda/linear_format.cuh"

namespace pagoda::kernels::cuda {

// One token's key or value of one head, by one warp: x[i] is dim lane + 32 i.
template <int D, KvFormat kFormat>
__device__ __forceinline__ void write_head(std::byte* page, bool value, int token, int lane,
                                           const float (&x)[D / 32]) {
  const int first = value ? value_offset(token, lane, D) : key_offset(token, lane, D);
  const int step = value ? kValueStep : kKeyStep;
  const auto offset = [&](int i) { return first + i * step; };
  if constexpr (kFormat == KvFormat::kBF16) {
    auto* to = reinterpret_cast<__nv_bfloat16*>(page);
    for (int i = 0; i < D / 32; ++i) to[offset(i)] = __float2bfloat16(x[i]);
  } else {
    float largest = 0;
    for (int i = 0; i < D / 32; ++i) largest = fmaxf(largest, fabsf(x[i]));
    largest = warp_max(largest);
    constexpr float kLargest = kFormat == KvFormat::kInt8 ? 127.0f : 448.0f;
    const float scale = largest > 0 ? largest / kLargest : 1.0f, inverse = 1.0f / scale;
    if (lane == 0) reinterpret_cast<float*>(page + kv_scales_offset(D))[token] = scale;
    for (int i = 0; i < D / 32; ++i) {
      const float scaled = x[i] * inverse;
      page[offset(i)] =
          kFormat == KvFormat::kInt8
              ? static_cast<std::byte>(__float2int_rn(scaled) + 128)
              : static_cast<std::byte>(__nv_cvt_float_to_fp8(scaled, __NV_SATFINITE, __NV_E4M3));
    }
  }
}

// Eight values of a lane, from `index` values into the page on.
template <KvFormat kFormat>
__device__ __forceinline__ uint4 load_fragment(const std::byte* page, int index) {
  if constexpr (kFormat == KvFormat::kBF16) {
    return load_16(page + index * 2);
  } else {
    using Decode = std::conditional_t<kFormat == KvFormat::kInt8, DecodeInt8, DecodeE4m3>;
    const uint2 bytes = *reinterpret_cast<const uint2*>(page + index);
    uint4 values;
    Decode::words(bytes.x, values.x, values.y);
    Decode::words(bytes.y, values.z, values.w);
    return values;
  }
}

// The scales of tokens 2c, 2c + 1 and of those 8 further; 1 of bf16.
struct TokenScales {
  float2 of[2];
};
template <int D, KvFormat kFormat>
__device__ __forceinline__ TokenScales load_scales(const std::byte* page, int c) {
  if constexpr (kFormat == KvFormat::kBF16) return {{{1, 1}, {1, 1}}};
  const auto* scales = reinterpret_cast<const float2*>(page + kv_scales_offset(D));
  return {{scales[c], scales[c + 4]}};
}

}  // namespace pagoda::kernels::cuda

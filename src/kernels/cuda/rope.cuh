#pragma once
// Rotary embedding and norm of one head, by one warp: lane l holds dims l, l + 32, ... of the head.

#include <cstdint>

#include "kernels/cuda/attention_args.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

// x[i] is dim lane + 32 i.
template <int D>
__device__ __forceinline__ void load_head(const float* head, int lane, float (&x)[D / 32]) {
  for (int i = 0; i < D / 32; ++i) x[i] = head[lane + 32 * i];
}

template <int D>
__device__ __forceinline__ void rotate_and_norm(const RopeView& rope, const float* norm, int position,
                                                int lane, float (&x)[D / 32]) {
  constexpr int kHalf = D / 2, kValues = D / 32;
  for (int i = 0; i < kValues / 2; ++i) {
    const int d = lane + 32 * i;
    const float cos = rope.cos[static_cast<std::int64_t>(position) * kHalf + d];
    const float sin = rope.sin[static_cast<std::int64_t>(position) * kHalf + d];
    const float a = x[i], b = x[i + kValues / 2];
    x[i] = a * cos - b * sin;
    x[i + kValues / 2] = b * cos + a * sin;
  }
  if (norm == nullptr) return;
  float squares = 0;
  for (int i = 0; i < kValues; ++i) squares += x[i] * x[i];
  const float inverse = rsqrtf(warp_sum(squares) / D + rope.eps);
  for (int i = 0; i < kValues; ++i) x[i] *= inverse * norm[lane + 32 * i];
}

}  // namespace pagoda::kernels::cuda

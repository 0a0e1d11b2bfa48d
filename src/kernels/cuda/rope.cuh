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

// What the lanes need of the tables for one position.
template <int D>
struct RopeValues {
  float cos[D / 64], sin[D / 64], q_norm[D / 32], k_norm[D / 32];

  __device__ __forceinline__ void fetch(const RopeView& rope, int position, int lane) {
    const std::int64_t row = static_cast<std::int64_t>(position) * (D / 2);
    for (int i = 0; i < D / 64; ++i) {
      cos[i] = rope.cos[row + lane + 32 * i];
      sin[i] = rope.sin[row + lane + 32 * i];
    }
    if (rope.q_norm == nullptr) return;
    for (int i = 0; i < D / 32; ++i) {
      q_norm[i] = rope.q_norm[lane + 32 * i];
      k_norm[i] = rope.k_norm[lane + 32 * i];
    }
  }
};

template <int D>
__device__ __forceinline__ void rotate_and_norm(const RopeView& rope, const RopeValues<D>& values, bool key,
                                                float (&x)[D / 32]) {
  constexpr int kValues = D / 32;
  for (int i = 0; i < kValues / 2; ++i) {
    const float a = x[i], b = x[i + kValues / 2];
    x[i] = a * values.cos[i] - b * values.sin[i];
    x[i + kValues / 2] = b * values.cos[i] + a * values.sin[i];
  }
  if (rope.q_norm == nullptr) return;
  float squares = 0;
  for (int i = 0; i < kValues; ++i) squares += x[i] * x[i];
  const float inverse = rsqrtf(warp_sum(squares) / D + rope.eps);
  for (int i = 0; i < kValues; ++i) x[i] *= inverse * (key ? values.k_norm[i] : values.q_norm[i]);
}

}  // namespace pagoda::kernels::cuda

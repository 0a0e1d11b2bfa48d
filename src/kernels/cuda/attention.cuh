#pragma once
// What decode and prefill attention share: one page of 16 tokens against 16 query rows, by one warp.

#include "kernels/cuda/attention_args.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

// Online softmax state of the 16 rows of a warp: lane (g, c) holds rows g and g + 8.
template <int D>
struct RowState {
  float out[D / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY};
  float total[2] = {0, 0};
};

// A pair of tokens of V, of which only the first `left` exist; the rest may hold anything, NaN included, and
// probability 0 would not hide that.
__device__ __forceinline__ std::uint32_t existing(std::uint32_t pair, int left) {
  return left >= 2 ? pair : left == 1 ? pair & 0xffffu : 0;
}

// q: A fragments, already multiplied with scale_log2. Tokens [0, visible[r]) of the page count for row g + 8
// r; `written` tokens of the page exist.
template <int D>
__device__ __forceinline__ void attend_page(const std::uint32_t (&q)[D / 16][4], const std::byte* keys,
                                            const std::byte* values, const int (&visible)[2], int written,
                                            int lane, RowState<D>& state) {
  const int c = lane % 4;
  uint4 k[2][D / 32];
#pragma unroll
  for (int t = 0; t < 2; ++t)
    for (int s = 0; s < D / 32; ++s)
      k[t][s] = *reinterpret_cast<const uint4*>(keys + ((t * (D / 32) + s) * 32 + lane) * 16);
  uint4 v[D / 16];
#pragma unroll
  for (int s = 0; s < D / 16; ++s) v[s] = *reinterpret_cast<const uint4*>(values + (s * 32 + lane) * 16);

  if (written < kPageTokens)
    for (int s = 0; s < D / 16; ++s) {
      v[s].x = existing(v[s].x, written - 2 * c);
      v[s].y = existing(v[s].y, written - 2 * c - 8);
      v[s].z = existing(v[s].z, written - 2 * c);
      v[s].w = existing(v[s].w, written - 2 * c - 8);
    }

  float score[2][4] = {};
#pragma unroll
  for (int t = 0; t < 2; ++t)
    for (int s = 0; s < D / 32; ++s) {
      mma_bf16(score[t], q[2 * s], k[t][s].x, k[t][s].y);
      mma_bf16(score[t], q[2 * s + 1], k[t][s].z, k[t][s].w);
    }
  float p[2][4];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float largest = state.largest[r];
    for (int t = 0; t < 2; ++t)
      for (int e = 0; e < 2; ++e) {
        if (t * 8 + 2 * c + e >= visible[r]) score[t][2 * r + e] = -INFINITY;
        largest = fmaxf(largest, score[t][2 * r + e]);
      }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float base = largest == -INFINITY ? 0.0f : largest;  // a row that sees nothing yet
    const float decay = exp2f(state.largest[r] - base);
    state.largest[r] = largest;
    float total = 0;
    for (int t = 0; t < 2; ++t)
      for (int e = 0; e < 2; ++e) total += p[t][2 * r + e] = exp2f(score[t][2 * r + e] - base);
    total += __shfl_xor_sync(0xffffffffu, total, 1);
    total += __shfl_xor_sync(0xffffffffu, total, 2);
    state.total[r] = state.total[r] * decay + total;
#pragma unroll
    for (int d = 0; d < D / 8; ++d) {
      state.out[d][2 * r] *= decay;
      state.out[d][2 * r + 1] *= decay;
    }
  }
  const std::uint32_t a[4] = {pack_bf16(p[0][0], p[0][1]), pack_bf16(p[0][2], p[0][3]),
                              pack_bf16(p[1][0], p[1][1]), pack_bf16(p[1][2], p[1][3])};
#pragma unroll
  for (int s = 0; s < D / 16; ++s) {
    mma_bf16(state.out[2 * s], a, v[s].x, v[s].y);
    mma_bf16(state.out[2 * s + 1], a, v[s].z, v[s].w);
  }
}

}  // namespace pagoda::kernels::cuda

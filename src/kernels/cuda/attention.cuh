#pragma once
// What decode and prefill attention share: one page of 16 tokens against 16 query rows, by one warp.

#include "kernels/cuda/attention_args.cuh"
#include "kernels/cuda/kv_format.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

// Online softmax state of the rows of a warp: lane (g, c) holds row g and, if kRows is 2, row g + 8.
template <int D, int kRows>
struct RowState {
  float out[D / 8][2 * kRows] = {};
  float largest[kRows];
  float total[kRows] = {};
  __device__ RowState() {
    for (float& value : largest) value = -INFINITY;
  }
};

// C += A B for the rows that are there; of A, a holds (row g, row g + 8) for the first 8 k, then for the
// last.
template <int kRows>
__device__ __forceinline__ void mma_rows(float (&d)[2 * kRows], const std::uint32_t (&a)[2 * kRows],
                                         std::uint32_t b0, std::uint32_t b1) {
  if constexpr (kRows == 2)
    mma_bf16(d, a, b0, b1);
  else
    mma_bf16_upper(d[0], d[1], a[0], a[1], b0, b1);
}

// A pair of tokens of V, of which only the first `left` exist; the rest may hold anything, NaN included, and
// probability 0 would not hide that.
__device__ __forceinline__ std::uint32_t existing(std::uint32_t pair, int left) {
  return left >= 2 ? pair : left == 1 ? pair & 0xffffu : 0;
}

// q: A fragments, already multiplied with scale_log2. Tokens [0, visible[r]) of the page count for row g + 8
// r; `written` tokens of the page exist. The page lies in shared memory.
template <int D, KvFormat kFormat, int kRows>
__device__ __forceinline__ void attend_page(const std::uint32_t (&q)[D / 16][2 * kRows],
                                            const std::byte* keys, const std::byte* values,
                                            const int (&visible)[kRows], int written, int lane,
                                            RowState<D, kRows>& state) {
  const int c = lane % 4;
  uint4 k[2][D / 32];
#pragma unroll
  for (int t = 0; t < 2; ++t)
    for (int s = 0; s < D / 32; ++s)
      k[t][s] = load_fragment<kFormat>(keys, ((t * (D / 32) + s) * 32 + lane) * 8);
  const TokenScales k_scales = load_scales<D, kFormat>(keys, c);
  TokenScales v_scales = load_scales<D, kFormat>(values, c);

  if (written < kPageTokens) {
    for (int t = 0; t < 2; ++t) {
      if (t * 8 + 2 * c >= written) v_scales.of[t].x = 0;
      if (t * 8 + 2 * c + 1 >= written) v_scales.of[t].y = 0;
    }
  }

  float score[2][2 * kRows] = {};
#pragma unroll
  for (int t = 0; t < 2; ++t)
    for (int s = 0; s < D / 32; ++s) {
      mma_rows<kRows>(score[t], q[2 * s], k[t][s].x, k[t][s].y);
      mma_rows<kRows>(score[t], q[2 * s + 1], k[t][s].z, k[t][s].w);
    }
  std::uint32_t a[2 * kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    float largest = state.largest[r];
    for (int t = 0; t < 2; ++t)
      for (int e = 0; e < 2; ++e) {
        score[t][2 * r + e] *= e == 0 ? k_scales.of[t].x : k_scales.of[t].y;
        if (t * 8 + 2 * c + e >= visible[r]) score[t][2 * r + e] = -INFINITY;
        largest = fmaxf(largest, score[t][2 * r + e]);
      }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float base = largest == -INFINITY ? 0.0f : largest;  // a row that sees nothing yet
    const float decay = power_of_2(state.largest[r] - base);
    state.largest[r] = largest;
    float p[2][2], total = 0;
    for (int t = 0; t < 2; ++t)
      for (int e = 0; e < 2; ++e) total += p[t][e] = power_of_2(score[t][2 * r + e] - base);
    total += __shfl_xor_sync(0xffffffffu, total, 1);
    total += __shfl_xor_sync(0xffffffffu, total, 2);
    state.total[r] = state.total[r] * decay + total;
#pragma unroll
    for (int d = 0; d < D / 8; ++d) {
      state.out[d][2 * r] *= decay;
      state.out[d][2 * r + 1] *= decay;
    }
    a[r] = pack_bf16(p[0][0] * v_scales.of[0].x, p[0][1] * v_scales.of[0].y);
    a[kRows + r] = pack_bf16(p[1][0] * v_scales.of[1].x, p[1][1] * v_scales.of[1].y);
  }
  uint4 v[D / 16];
#pragma unroll
  for (int s = 0; s < D / 16; ++s) v[s] = load_fragment<kFormat>(values, (s * 32 + lane) * 8);
  if (written < kPageTokens)
    for (int s = 0; s < D / 16; ++s) {
      v[s].x = existing(v[s].x, written - 2 * c);
      v[s].y = existing(v[s].y, written - 2 * c - 8);
      v[s].z = existing(v[s].z, written - 2 * c);
      v[s].w = existing(v[s].w, written - 2 * c - 8);
    }
#pragma unroll
  for (int s = 0; s < D / 16; ++s) {
    mma_rows<kRows>(state.out[2 * s], a, v[s].x, v[s].y);
    mma_rows<kRows>(state.out[2 * s + 1], a, v[s].z, v[s].w);
  }
}

}  // namespace pagoda::kernels::cuda

#pragma once
// One page of 16 tokens against the queries of a decode, at most 8 rows, by one warp.

#include "kernels/cuda/attention_args.cuh"
#include "kernels/cuda/kv_format.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

// Online softmax state of the rows: lane (g, c) holds row g.
template <int D>
struct RowState {
  float out[D / 8][2] = {};
  float largest = -INFINITY;
  float total = 0;
};

// A page to shared memory, by so many threads.
template <int kThreads, int kBytes>
__device__ __forceinline__ void stream_page(std::byte* to, const std::byte* from, int thread) {
  constexpr int kTurn = kThreads * 16, kTurns = kBytes / kTurn, kRest = kBytes % kTurn;
  to += thread * 16;
  from += thread * 16;
#pragma unroll
  for (int i = 0; i < kTurns; ++i) stream_16_async(to + i * kTurn, from + i * kTurn);
  if (thread * 16 < kRest) stream_16_async(to + kTurns * kTurn, from + kTurns * kTurn);
}

// A pair of tokens of V, of which only the first `left` exist; the rest may hold anything, NaN included, and
// probability 0 would not hide that.
__device__ __forceinline__ std::uint32_t existing(std::uint32_t pair, int left) {
  return left >= 2 ? pair : left == 1 ? pair & 0xffffu : 0;
}

// q: A fragments of rows 0 to 7, already multiplied with scale_log2. `written` tokens of the page exist, and
// count. The page lies in shared memory.
template <int D, KvFormat kFormat>
__device__ __forceinline__ void attend_page(const std::uint32_t (&q)[D / 16][2], const std::byte* keys,
                                            const std::byte* values, int written, int lane,
                                            RowState<D>& state) {
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

  float score[2][2] = {};
#pragma unroll
  for (int t = 0; t < 2; ++t)
    for (int s = 0; s < D / 32; ++s) {
      mma_bf16_upper(score[t], q[2 * s], k[t][s].x, k[t][s].y);
      mma_bf16_upper(score[t], q[2 * s + 1], k[t][s].z, k[t][s].w);
    }
  float largest = state.largest;
  for (int t = 0; t < 2; ++t)
    for (int e = 0; e < 2; ++e) {
      score[t][e] *= e == 0 ? k_scales.of[t].x : k_scales.of[t].y;
      if (t * 8 + 2 * c + e >= written) score[t][e] = -INFINITY;
      largest = fmaxf(largest, score[t][e]);
    }
  largest = over_quad(largest, Maximum());
  const float base = largest == -INFINITY ? 0.0f : largest;  // a row that sees nothing yet
  const float decay = power_of_2(state.largest - base);
  state.largest = largest;
  float p[2][2], total = 0;
  for (int t = 0; t < 2; ++t)
    for (int e = 0; e < 2; ++e) total += p[t][e] = power_of_2(score[t][e] - base);
  state.total = state.total * decay + over_quad(total, Sum());
#pragma unroll
  for (int d = 0; d < D / 8; ++d) {
    state.out[d][0] *= decay;
    state.out[d][1] *= decay;
  }
  const std::uint32_t a[2] = {pack_bf16(p[0][0] * v_scales.of[0].x, p[0][1] * v_scales.of[0].y),
                              pack_bf16(p[1][0] * v_scales.of[1].x, p[1][1] * v_scales.of[1].y)};
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
    mma_bf16_upper(state.out[2 * s], a, v[s].x, v[s].y);
    mma_bf16_upper(state.out[2 * s + 1], a, v[s].z, v[s].w);
  }
}

}  // namespace pagoda::kernels::cuda

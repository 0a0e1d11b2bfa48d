#pragma once
// Pages of 16 tokens against the queries of a decode, at most 8 rows, by one warp.

#include "kernels/cuda/attention_args.cuh"
#include "kernels/cuda/kv_format.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

// Online softmax state of the rows: lane (g, c) holds row g, and of its sum what its own tokens make.
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

// q: A fragments of rows 0 to 7, already multiplied with scale_log2. The kPages pages lie in shared memory;
// of the first `written` tokens exist, and count, of each further one kNextPage fewer.
template <int D, KvFormat kFormat, int kPages, int kNextPage>
__device__ __forceinline__ void attend_pages(const std::uint32_t (&q)[D / 32][4],
                                             const std::byte* const (&pages)[kPages][2], int written,
                                             int lane, RowState<D>& state) {
  const int c = lane % 4;
  const auto written_of = [&](int page) { return written - page * kNextPage; };
  uint4 k[kPages][2][D / 32];
  TokenScales k_scales[kPages], v_scales[kPages];
#pragma unroll
  for (int page = 0; page < kPages; ++page) {
    const std::byte *keys = pages[page][0], *values = pages[page][1];
    for (int t = 0; t < 2; ++t)
      for (int s = 0; s < D / 32; ++s)
        k[page][t][s] = load_fragment<kFormat>(keys, ((t * (D / 32) + s) * 32 + lane) * 8);
    k_scales[page] = load_scales<D, kFormat>(keys, c);
    v_scales[page] = load_scales<D, kFormat>(values, c);
    if constexpr (kFormat != KvFormat::kBF16)
      for (int t = 0; t < 2; ++t) {
        if (t * 8 + 2 * c >= written_of(page)) v_scales[page].of[t].x = 0;
        if (t * 8 + 2 * c + 1 >= written_of(page)) v_scales[page].of[t].y = 0;
      }
  }

  // Even and odd steps of 16 dims apart: a sum would wait for the one before.
  float score[kPages][2][2][2] = {};
#pragma unroll
  for (int s = 0; s < D / 32; ++s)
    for (int page = 0; page < kPages; ++page)
      for (int t = 0; t < 2; ++t) {
        mma_bf16_upper(score[page][t][0], q[s][0], q[s][1], k[page][t][s].x, k[page][t][s].y);
        mma_bf16_upper(score[page][t][1], q[s][2], q[s][3], k[page][t][s].z, k[page][t][s].w);
      }
  float largest = state.largest;
  float p[kPages][2][2];
#pragma unroll
  for (int page = 0; page < kPages; ++page)
    for (int t = 0; t < 2; ++t)
      for (int e = 0; e < 2; ++e) {
        const float2 scales = k_scales[page].of[t];
        float& value = p[page][t][e];
        value = (score[page][t][0][e] + score[page][t][1][e]) * (e == 0 ? scales.x : scales.y);
        if (t * 8 + 2 * c + e >= written_of(page)) value = -INFINITY;
        largest = fmaxf(largest, value);
      }
  largest = over_quad(largest, Maximum());
  const float base = largest == -INFINITY ? 0.0f : largest;  // a row that sees nothing yet
  const float decay = power_of_2(state.largest - base);
  state.largest = largest;
  state.total *= decay;
#pragma unroll
  for (int d = 0; d < D / 8; ++d) {
    state.out[d][0] *= decay;
    state.out[d][1] *= decay;
  }
#pragma unroll
  for (int page = 0; page < kPages; ++page) {
    for (int t = 0; t < 2; ++t)
      for (int e = 0; e < 2; ++e) state.total += p[page][t][e] = power_of_2(p[page][t][e] - base);
    const TokenScales& scales = v_scales[page];
    const std::uint32_t a[2] = {pack_bf16(p[page][0][0] * scales.of[0].x, p[page][0][1] * scales.of[0].y),
                                pack_bf16(p[page][1][0] * scales.of[1].x, p[page][1][1] * scales.of[1].y)};
    uint4 v[D / 16];
#pragma unroll
    for (int s = 0; s < D / 16; ++s) v[s] = load_fragment<kFormat>(pages[page][1], (s * 32 + lane) * 8);
    if (written_of(page) < kPageTokens)
      for (int s = 0; s < D / 16; ++s) {
        v[s].x = existing(v[s].x, written_of(page) - 2 * c);
        v[s].y = existing(v[s].y, written_of(page) - 2 * c - 8);
        v[s].z = existing(v[s].z, written_of(page) - 2 * c);
        v[s].w = existing(v[s].w, written_of(page) - 2 * c - 8);
      }
#pragma unroll
    for (int s = 0; s < D / 16; ++s) {
      mma_bf16_upper(state.out[2 * s], a[0], a[1], v[s].x, v[s].y);
      mma_bf16_upper(state.out[2 * s + 1], a[0], a[1], v[s].z, v[s].w);
    }
  }
}

}  // namespace pagoda::kernels::cuda

// Panels by VDPBF16PS and VPDPBUSD. Compiled with those instruction sets; called only where the CPU has them.
//
// A tile of MR rows and NP panels keeps MR * NP accumulators in registers (at most 24 of 32) while k runs
// through; per group it loads NP panel rows and broadcasts MR pairs. 12 x 2 is bound by the multipliers on
// Zen 4 (one 512-bit VDPBF16PS a cycle against 14 loads for 24 of them); for few rows more panels run side by
// side, which hides the latency of the multiply (6 cycles) and gives the prefetchers several streams.

#include <immintrin.h>

#include "kernels/cpu/avx512_tiles.h"
#include "kernels/cpu/panel.h"

namespace pagoda::kernels::cpu {
namespace {

struct Bf16Dot {
  using Accumulator = __m512;
  static Accumulator start(const PanelArgs& p, const float* c, __mmask16 mask) {
    return p.chain ? _mm512_maskz_loadu_ps(mask, c) : _mm512_setzero_ps();
  }
  static Accumulator dot(Accumulator sum, std::int32_t a, __m512i b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(a), (__m512bh)b);
  }
  static __m512 finish(const PanelArgs&, Accumulator sum, std::int64_t, std::int64_t, __mmask16) {
    return sum;
  }
};

struct Int8Dot {
  using Accumulator = __m512i;
  static Accumulator start(const PanelArgs&, const float*, __mmask16) { return _mm512_setzero_si512(); }
  static Accumulator dot(Accumulator sum, std::int32_t a, __m512i b) {
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(a), b);
  }
  static __m512 finish(const PanelArgs& p, Accumulator sum, std::int64_t row, std::int64_t column,
                       __mmask16 mask) {
    const __m512i offset = _mm512_maskz_loadu_epi32(mask, p.column_offset + column);
    const __m512 scale =
        _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, p.column_scale + column), _mm512_set1_ps(p.row_scale[row]));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offset)), scale);
  }
};

__mmask16 columns_mask(const PanelArgs& p, std::int64_t first) {
  const std::int64_t valid = p.columns - first;
  return valid >= kPanelColumns ? 0xffff : static_cast<__mmask16>((1u << valid) - 1);
}

template <typename Dot, int MR, int NP>
void tile(const PanelArgs& p, std::int64_t row, std::int64_t panel) {
  float* c = p.c + row * p.c_stride + panel * kPanelColumns;
  __mmask16 mask[NP];
  typename Dot::Accumulator sum[MR][NP];
  for (int j = 0; j < NP; ++j) {
    mask[j] = columns_mask(p, (panel + j) * kPanelColumns);
    for (int i = 0; i < MR; ++i) sum[i][j] = Dot::start(p, c + i * p.c_stride + j * kPanelColumns, mask[j]);
  }
  const std::size_t stride = p.a_stride;
  const char* a = static_cast<const char*>(p.a) + row * stride;
  for (std::int64_t s = 0; s < p.num_segments; ++s) {
    const std::byte* b[NP];
    for (int j = 0; j < NP; ++j) b[j] = panel_base(p, s, panel + j);
    for (std::int64_t g = 0; g < p.groups; ++g, a += 4) {
      __m512i column[NP];
      for (int j = 0; j < NP; ++j) column[j] = _mm512_loadu_si512(b[j] + g * kPanelRowBytes);
#pragma GCC unroll 12
      for (int i = 0; i < MR; ++i) {
        std::int32_t pair;
        __builtin_memcpy(&pair, a + i * stride, sizeof(pair));
#pragma GCC unroll 4
        for (int j = 0; j < NP; ++j) sum[i][j] = Dot::dot(sum[i][j], pair, column[j]);
      }
    }
  }
  for (int j = 0; j < NP; ++j)
    for (int i = 0; i < MR; ++i) {
      float* out = c + i * p.c_stride + j * kPanelColumns;
      __m512 value = Dot::finish(p, sum[i][j], row + i, (panel + j) * kPanelColumns, mask[j]);
      if (p.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask[j], out));
      _mm512_mask_storeu_ps(out, mask[j], value);
    }
}

template <typename Dot>
void run(const PanelArgs& p) {
  if (p.m <= 0) return;
  all_tiles(0, p.m, p.panels,
            [&]<int MR, int NP>(std::int64_t row, std::int64_t panel) { tile<Dot, MR, NP>(p, row, panel); });
}

}  // namespace

void avx512_bf16_panels(const PanelArgs& args) { run<Bf16Dot>(args); }
void avx512_int8_panels(const PanelArgs& args) { run<Int8Dot>(args); }

}  // namespace pagoda::kernels::cpu

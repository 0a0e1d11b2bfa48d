// Grouped integer panels by VPDPBUSD: unsigned weights times signed activations, four inputs of 16 columns an
// instruction. Compiled for AVX-512 VNNI; called only where the CPU has it.
//
// A tile is MR rows of A by NP panels, at most 24 accumulators of the 32 registers, as in panel_avx512.cc;
// the float sums go through memory once a group.

#include <immintrin.h>

#include "kernels/cpu/avx512_tiles.h"
#include "kernels/cpu/grouped.h"
#include "kernels/cpu/panel.h"

namespace pagoda::kernels::cpu {
namespace {

constexpr int kColumns = 16, kRowBytes = 64;
// Rows of A that are multiplied with one panel after another before the next rows: they stay in L2 meanwhile.
constexpr std::int64_t kBlockRows = 96, kBlockBytes = 512 << 10;

// sum += the quad of inputs at `a` times a panel row.
inline __m512i dot(__m512i sum, __m512i weights, const std::byte* a) {
  std::int32_t quad;
  __builtin_memcpy(&quad, a, sizeof(quad));
  return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(quad));
}

// Says that a sum is in a register. Where nothing does, behind the loop over a group, GCC 12 also stores all
// sums in every turn of it, which takes 40 % of the time.
inline void pin([[maybe_unused]] __m512i& value) {
#ifdef __AVX512F__  // else the tests' emulation
  asm("" : "+v"(value));
#endif
}

struct Int4 {
  static constexpr int kSymmetricZero = 8;
  static constexpr int kInputs = 8;  // of a panel row

  template <int MR, int NP>
  static inline void add_row(__m512i (&sum)[MR][NP], const std::byte* a, std::size_t stride,
                             const std::byte* const (&b)[NP]) {
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i raw[NP], weights[NP];
#pragma GCC unroll 4
    for (int j = 0; j < NP; ++j) {
      raw[j] = _mm512_loadu_si512(b[j]);
      weights[j] = _mm512_and_si512(raw[j], nibble);
    }
#pragma GCC unroll 12
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NP; ++j) sum[i][j] = dot(sum[i][j], weights[j], a + i * stride);
#pragma GCC unroll 4
    for (int j = 0; j < NP; ++j) weights[j] = _mm512_and_si512(_mm512_srli_epi16(raw[j], 4), nibble);
#pragma GCC unroll 12
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NP; ++j) sum[i][j] = dot(sum[i][j], weights[j], a + i * stride + 4);
  }
};

struct Int8 {
  static constexpr int kSymmetricZero = 128;
  static constexpr int kInputs = 4;

  template <int MR, int NP>
  static inline void add_row(__m512i (&sum)[MR][NP], const std::byte* a, std::size_t stride,
                             const std::byte* const (&b)[NP]) {
    __m512i weights[NP];
#pragma GCC unroll 4
    for (int j = 0; j < NP; ++j) weights[j] = _mm512_loadu_si512(b[j]);
#pragma GCC unroll 12
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NP; ++j) sum[i][j] = dot(sum[i][j], weights[j], a + i * stride);
  }
};

inline __m512 load_scales(const GroupedArgs& p, std::int64_t at) {
  if (!p.half_scales) return _mm512_loadu_ps(static_cast<const float*>(p.scales) + at);
  const auto* halves = static_cast<const std::uint16_t*>(p.scales) + at;
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}

inline const float* row_scales(const std::byte* scales, std::size_t offset) {
  return reinterpret_cast<const float*>(scales + offset);
}

template <typename Dot, int MR, int NP>
__attribute__((noinline)) void tile(const GroupedArgs& p, std::int64_t row, std::int64_t panel) {
  const std::size_t stride = p.a_stride;
  const std::byte* a = p.a + row * stride;
  const auto* a_scales = reinterpret_cast<const std::byte*>(grouped_a_scales(p, row));
  const std::byte* b[NP];
  for (int j = 0; j < NP; ++j) b[j] = p.b + (panel + j) * p.panel_stride;
  alignas(64) float totals[MR][NP][kColumns] = {};
  for (std::int64_t g = 0; g < p.groups; ++g) {
    __m512i sum[MR][NP];  // starts at -zero * sum of A
#pragma GCC unroll 4
    for (int j = 0; j < NP; ++j) {
      // VPMADDWD multiplies the low halves of zero (a byte) and sum of A (16 bits); the upper ones of A are
      // 0.
      __m512i zero = _mm512_set1_epi32(Dot::kSymmetricZero);
      if (p.zeros != nullptr)
        zero = _mm512_cvtepu8_epi32(_mm_loadu_si128(
            reinterpret_cast<const __m128i*>(p.zeros + ((panel + j) * p.groups + g) * kColumns)));
#pragma GCC unroll 12
      for (int i = 0; i < MR; ++i) {
        const auto* a_sums =
            reinterpret_cast<const std::int32_t*>(row_scales(a_scales, i * stride) + p.groups);
        const __m512i product = _mm512_madd_epi16(zero, _mm512_set1_epi32(a_sums[g] & 0xffff));
        sum[i][j] = _mm512_sub_epi32(_mm512_setzero_si512(), product);
      }
    }
    for (std::int64_t k = 0; k < p.group; k += Dot::kInputs, a += Dot::kInputs) {
      Dot::template add_row<MR, NP>(sum, a, stride, b);
#pragma GCC unroll 4
      for (int j = 0; j < NP; ++j) b[j] += kRowBytes;
    }
#pragma GCC unroll 12
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < NP; ++j) pin(sum[i][j]);
#pragma GCC unroll 4
    for (int j = 0; j < NP; ++j) {
      const __m512 scale = load_scales(p, grouped_scale_index(p, panel + j, g));
#pragma GCC unroll 12
      for (int i = 0; i < MR; ++i) {
        const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(row_scales(a_scales, i * stride)[g]));
        _mm512_store_ps(totals[i][j],
                        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][j]), both, _mm512_load_ps(totals[i][j])));
      }
    }
  }
  for (int j = 0; j < NP; ++j) {
    const std::int64_t first = (panel + j) * kColumns, valid = p.columns - first;
    const __mmask16 mask = valid >= kColumns ? 0xffff : static_cast<__mmask16>((1u << valid) - 1);
    for (int i = 0; i < MR; ++i) {
      float* out = p.c + (row + i) * p.c_stride + first;
      __m512 value = _mm512_load_ps(totals[i][j]);
      if (p.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, out));
      _mm512_mask_storeu_ps(out, mask, value);
    }
  }
}

template <typename Dot>
void run(const GroupedArgs& p) {
  const std::int64_t fitting = kBlockBytes / (p.groups * p.group) / kAvx512Rows * kAvx512Rows;
  const std::int64_t block = fitting > kBlockRows    ? kBlockRows
                             : fitting > kAvx512Rows ? fitting
                                                     : kAvx512Rows;
  for (std::int64_t begin = 0; begin < p.m; begin += block)
    all_tiles(
        begin, p.m - begin < block ? p.m : begin + block, p.panels,
        [&]<int MR, int NP>(std::int64_t row, std::int64_t panel) { tile<Dot, MR, NP>(p, row, panel); });
}

}  // namespace

void avx512_grouped_int4(const GroupedArgs& args) { run<Int4>(args); }
void avx512_grouped_int8(const GroupedArgs& args) { run<Int8>(args); }

}  // namespace pagoda::kernels::cpu

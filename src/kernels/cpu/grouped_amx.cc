// Grouped integer panels by AMX tiles, for prefill and large batches: TDPBSUD multiplies signed activations
// with unsigned weights. Compiled with AMX; called only where CPU and kernel allow it.
//
// INT4 is unpacked to bytes once for all rows of a block, in pieces that stay in L1. The integer sums of a
// group leave the tiles through memory and are added up in floats there: with groups of 128 a tile gives 16 x
// 16 sums for every two multiplications.

#include <immintrin.h>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/grouped.h"

namespace pagoda::kernels::cpu {
namespace {

constexpr std::int64_t kColumns = 16, kRowBytes = 64;
constexpr std::int64_t kBlockRows = 256;    // whose float sums of two panels (32 KiB) are kept at once
constexpr std::int64_t kPieceInputs = 512;  // of two unpacked panels: 16 KiB

using Sums = std::int32_t[kTileRows][kColumns];

inline __m512 load_scales(const GroupedArgs& p, std::int64_t at) {
  if (!p.half_scales) return _mm512_loadu_ps(static_cast<const float*>(p.scales) + at);
  const auto* halves = static_cast<const std::uint16_t*>(p.scales) + at;
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}

// totals [.., 2 * kColumns] += the sums of one tile, for its valid rows.
void add_group(const GroupedArgs& p, const Sums& sums, std::int64_t row, std::int64_t rows,
               std::int64_t panel, std::int64_t g, int symmetric_zero, float* totals) {
  const std::int64_t at = (panel * p.groups + g) * kColumns;
  const __m512 scale = load_scales(p, grouped_scale_index(p, panel, g));
  __m512i zero = _mm512_set1_epi32(symmetric_zero);
  if (p.zeros != nullptr)
    zero = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p.zeros + at)));
  for (std::int64_t i = 0; i < rows; ++i, totals += 2 * kColumns) {
    const float* a_scales = grouped_a_scales(p, row + i);
    const auto* a_sums = reinterpret_cast<const std::int32_t*>(a_scales + p.groups);
    // The low halves hold zero (a byte) and sum of A (16 bits); the upper ones of A are 0.
    const __m512i surplus = _mm512_madd_epi16(zero, _mm512_set1_epi32(a_sums[g] & 0xffff));
    const __m512i exact = _mm512_sub_epi32(_mm512_load_si512(sums[i]), surplus);
    const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(a_scales[g]));
    _mm512_store_ps(totals, _mm512_fmadd_ps(_mm512_cvtepi32_ps(exact), both, _mm512_load_ps(totals)));
  }
}

void store(const GroupedArgs& p, std::int64_t begin, std::int64_t end, std::int64_t panel,
           const float* totals) {
  const std::int64_t first = panel * kColumns, valid = p.columns - first;
  const __mmask16 mask = valid >= kColumns ? 0xffff : static_cast<__mmask16>((1u << valid) - 1);
  for (std::int64_t row = begin; row < end; ++row, totals += 2 * kColumns) {
    float* out = p.c + row * p.c_stride + first;
    __m512 value = _mm512_load_ps(totals);
    if (p.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, out));
    _mm512_mask_storeu_ps(out, mask, value);
  }
}

void unpack_nibbles(const std::byte* b, std::int64_t inputs, std::byte* out) {
  const __m512i nibble = _mm512_set1_epi8(15);
  for (std::int64_t k = 0; k < inputs; k += 8, b += kRowBytes, out += 2 * kRowBytes) {
    const __m512i raw = _mm512_loadu_si512(b);
    _mm512_store_si512(out, _mm512_and_si512(raw, nibble));
    _mm512_store_si512(out + kRowBytes, _mm512_and_si512(_mm512_srli_epi16(raw, 4), nibble));
  }
}

// Rows [row, row + 32) of two panels, whose bytes of group g lie at b and b_next; `totals` is that of `row`.
void multiply_group(const GroupedArgs& p, std::int64_t row, std::int64_t end, std::int64_t panel,
                    std::int64_t g, const std::byte* b, const std::byte* b_next, int symmetric_zero,
                    float* totals) {
  alignas(64) Sums sums[4];
  const bool high = row + kTileRows < end;
  const std::byte* a_low = p.a + row * p.a_stride + g * p.group;
  const std::byte* a_high = high ? a_low + kTileRows * p.a_stride : a_low;
  const std::int64_t step = p.group < 64 ? p.group : 64;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t k = 0; k < p.group; k += step) {
    _tile_loadd(4, a_low + k, p.a_stride);
    _tile_loadd(5, a_high + k, p.a_stride);
    _tile_loadd(6, b + k * kColumns, kRowBytes);
    _tile_loadd(7, b_next + k * kColumns, kRowBytes);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, sums[0], kRowBytes);
  _tile_stored(1, sums[1], kRowBytes);
  _tile_stored(2, sums[2], kRowBytes);
  _tile_stored(3, sums[3], kRowBytes);
  const bool second = panel + 1 < p.panels;
  const std::int64_t low_rows = high ? kTileRows : end - row;
  add_group(p, sums[0], row, low_rows, panel, g, symmetric_zero, totals);
  if (second) add_group(p, sums[1], row, low_rows, panel + 1, g, symmetric_zero, totals + kColumns);
  if (!high) return;
  const std::int64_t left = end - row - kTileRows;
  const std::int64_t high_rows = left < kTileRows ? left : kTileRows;
  float* high_totals = totals + kTileRows * 2 * kColumns;
  add_group(p, sums[2], row + kTileRows, high_rows, panel, g, symmetric_zero, high_totals);
  if (second)
    add_group(p, sums[3], row + kTileRows, high_rows, panel + 1, g, symmetric_zero, high_totals + kColumns);
}

// Rows [begin, end) of the panels `panel` and, where there is one, the next.
template <bool kInt4>
void two_panels(const GroupedArgs& p, std::int64_t begin, std::int64_t end, std::int64_t panel) {
  alignas(64) float totals[kBlockRows * 2 * kColumns];
  alignas(64) std::byte piece[2][kInt4 ? kPieceInputs * kColumns : 1];
  __builtin_memset(totals, 0, (end - begin) * 2 * kColumns * sizeof(float));
  const std::byte* panels[2] = {p.b + panel * p.panel_stride, p.b + panel * p.panel_stride};
  if (panel + 1 < p.panels) panels[1] += p.panel_stride;  // a lone panel is computed twice
  const std::int64_t step = kPieceInputs / p.group;
  for (std::int64_t first = 0; first < p.groups; first += step) {
    const std::int64_t last = p.groups - first < step ? p.groups : first + step;
    const std::byte* b[2];
    for (int j = 0; j < 2; ++j) {
      if constexpr (kInt4) {
        unpack_nibbles(panels[j] + first * p.group * kColumns / 2, (last - first) * p.group, piece[j]);
        b[j] = piece[j];
      } else {
        b[j] = panels[j] + first * p.group * kColumns;
      }
    }
    for (std::int64_t row = begin; row < end; row += 2 * kTileRows)
      for (std::int64_t g = first; g < last; ++g) {
        const std::int64_t offset = (g - first) * p.group * kColumns;
        multiply_group(p, row, end, panel, g, b[0] + offset, b[1] + offset, kInt4 ? 8 : 128,
                       totals + (row - begin) * 2 * kColumns);
      }
  }
  store(p, begin, end, panel, totals);
  if (panel + 1 < p.panels) store(p, begin, end, panel + 1, totals + kColumns);
}

template <bool kInt4>
void run(const GroupedArgs& p) {
  configure_thread();
  if (p.group < 64) configure_tiles(static_cast<int>(p.group));
  for (std::int64_t begin = 0; begin < p.m; begin += kBlockRows) {
    const std::int64_t end = p.m - begin < kBlockRows ? p.m : begin + kBlockRows;
    for (std::int64_t panel = 0; panel < p.panels; panel += 2) two_panels<kInt4>(p, begin, end, panel);
  }
  if (p.group < 64) configure_tiles(64);
}

}  // namespace

void amx_grouped_int4(const GroupedArgs& args) { run<true>(args); }
void amx_grouped_int8(const GroupedArgs& args) { run<false>(args); }

}  // namespace pagoda::kernels::cpu

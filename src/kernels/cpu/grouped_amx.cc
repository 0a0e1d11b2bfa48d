// Grouped integer panels by AMX tiles, for prefill and large batches: TDPBSSD multiplies signed activations
// with signed weights. Compiled with AMX; called only where CPU and kernel allow it.
//
// Weights are made signed bytes, INT4 without its zero point, once for all rows of a block, in pieces that
// stay in L1 beside the rows. The integer sums of a group leave the tiles through memory and are added up in
// floats there: with groups of 128 a tile gives 16 x 16 sums for every two multiplications. That, not the
// multiplying, sets the pace. On a Sapphire Rapids core at 3 GHz with all in L1, a multiplication takes 7 ns;
// with the store of a tile after every two it is 9, and 12 with the floats: while tiles multiply, only one
// 512-bit float instruction a cycle runs beside them, so instructions a row count. This kernel takes 23.
// Tried without gain there: prefetching A, stores around the cache, blocks of 64 x 64 whose weights come from
// L2, both steps of a group unrolled. With pieces of 512 inputs it took 26.

#include <immintrin.h>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/grouped.h"

namespace pagoda::kernels::cpu {
namespace {

constexpr std::int64_t kColumns = 16, kRowBytes = 64;
constexpr std::int64_t kStripRows = 2 * kTileRows;
constexpr std::int64_t kBlockRows = 256;    // whose float sums of two panels (32 KiB) are kept at once
constexpr std::int64_t kPieceInputs = 256;  // of two panels made signed: 8 KiB

using Sums = std::int32_t[kTileRows][kColumns];
using Totals = float[kBlockRows][kColumns];

inline __m512 load_scales(const GroupedArgs& p, std::int64_t at) {
  if (!p.half_scales) return _mm512_loadu_ps(static_cast<const float*>(p.scales) + at);
  const auto* halves = static_cast<const std::uint16_t*>(p.scales) + at;
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}

inline __m512i load_zeros(const GroupedArgs& p, std::int64_t panel, std::int64_t g) {  // [16] int32
  const std::uint8_t* zeros = p.zeros + (panel * p.groups + g) * kColumns;
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros)));
}

// Groups [first, last) of a panel as signed bytes: INT4 less its zero point, INT8 less 128 (the zero points
// of INT8, where it has some, would not leave it a byte).
template <bool kInt4>
void make_signed(const GroupedArgs& p, std::int64_t panel, std::int64_t first, std::int64_t last,
                 std::byte* out) {
  const std::byte* b = p.b + panel * p.panel_stride + first * p.group * kColumns / (kInt4 ? 2 : 1);
  const __m512i nibble = _mm512_set1_epi8(15);
  for (std::int64_t g = first; g < last; ++g) {
    if constexpr (kInt4) {
      __m512i zero = _mm512_set1_epi8(8);
      if (p.zeros != nullptr)  // the byte of a column in all four of its lane
        zero = _mm512_mullo_epi32(load_zeros(p, panel, g), _mm512_set1_epi32(0x01010101));
      for (std::int64_t k = 0; k < p.group; k += 8, b += kRowBytes, out += 2 * kRowBytes) {
        const __m512i raw = _mm512_loadu_si512(b);
        _mm512_store_si512(out, _mm512_sub_epi8(_mm512_and_si512(raw, nibble), zero));
        const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(raw, 4), nibble);
        _mm512_store_si512(out + kRowBytes, _mm512_sub_epi8(upper, zero));
      }
    } else {
      const __m512i sign = _mm512_set1_epi8(-128);
      for (std::int64_t k = 0; k < p.group; k += 4, b += kRowBytes, out += kRowBytes)
        _mm512_store_si512(out, _mm512_xor_si512(_mm512_loadu_si512(b), sign));
    }
  }
}

// A group of up to 32 rows by two panels, whose integer sums lie in memory.
struct Unit {
  const float* a_scales;   // of the first row and the group; those of the others lie a_stride apart
  float *totals, *beside;  // of the first row, in both panels
  std::int64_t panel, g;
  bool high;  // whether there are more than 16 rows
};

// Adds the sums of one tile. All 16 rows, of which the last may be padding that nobody stores.
template <bool kScaled, bool kZeros>
inline void add_tile(const GroupedArgs& p, const Sums& sums, const Unit& unit, std::int64_t panel,
                     const float* a_scales, float* totals) {
  __m512 scale = _mm512_setzero_ps();
  if constexpr (kScaled) scale = load_scales(p, grouped_scale_index(p, panel, unit.g));
  __m512i zero = _mm512_setzero_si512();
  if constexpr (kZeros) zero = _mm512_sub_epi32(load_zeros(p, panel, unit.g), _mm512_set1_epi32(128));
  const auto* a = reinterpret_cast<const std::byte*>(a_scales);
#pragma GCC unroll 16
  for (std::int64_t i = 0; i < kTileRows; ++i) {
    const auto* a_scale = reinterpret_cast<const float*>(a + i * p.a_stride);
    __m512i sum = _mm512_load_si512(sums[i]);
    if constexpr (kZeros) {
      // The low halves hold zero (a byte) and sum of A (16 bits); the upper ones of A are 0.
      const auto* a_sum = reinterpret_cast<const std::int32_t*>(a_scale + p.groups);
      sum = _mm512_sub_epi32(sum, _mm512_madd_epi16(zero, _mm512_set1_epi32(*a_sum & 0xffff)));
    }
    __m512 both = _mm512_set1_ps(*a_scale);
    if constexpr (kScaled) both = _mm512_mul_ps(both, scale);
    float* total = totals + i * kColumns;
    _mm512_store_ps(total, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), both, _mm512_load_ps(total)));
  }
}

template <bool kScaled, bool kZeros>
inline void add_unit(const GroupedArgs& p, const Sums (&sums)[4], const Unit& unit) {
  const std::int64_t next = unit.panel + 1 < p.panels ? unit.panel + 1 : unit.panel;
  add_tile<kScaled, kZeros>(p, sums[0], unit, unit.panel, unit.a_scales, unit.totals);
  add_tile<kScaled, kZeros>(p, sums[1], unit, next, unit.a_scales, unit.beside);
  if (!unit.high) return;
  const auto* high = reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(unit.a_scales) +
                                                    kTileRows * p.a_stride);
  add_tile<kScaled, kZeros>(p, sums[2], unit, unit.panel, high, unit.totals + kTileRows * kColumns);
  add_tile<kScaled, kZeros>(p, sums[3], unit, next, high, unit.beside + kTileRows * kColumns);
}

// The tiles of a unit: rows of A at `a`, the group's bytes of both panels at b and b_next.
inline void multiply(const GroupedArgs& p, const std::byte* a, bool high, const std::byte* b,
                     const std::byte* b_next) {
  const std::int64_t step = p.group < 64 ? p.group : 64;
  _tile_zero(0);
  _tile_zero(1);
  if (!high) {
    for (std::int64_t k = 0; k < p.group; k += step) {
      _tile_loadd(4, a + k, p.a_stride);
      _tile_loadd(6, b + k * kColumns, kRowBytes);
      _tile_loadd(7, b_next + k * kColumns, kRowBytes);
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 4, 7);
    }
    return;
  }
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t k = 0; k < p.group; k += step) {
    _tile_loadd(4, a + k, p.a_stride);
    _tile_loadd(5, a + kTileRows * p.a_stride + k, p.a_stride);
    _tile_loadd(6, b + k * kColumns, kRowBytes);
    _tile_loadd(7, b_next + k * kColumns, kRowBytes);
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
}

template <bool kScaled>
void store(const GroupedArgs& p, std::int64_t begin, std::int64_t end, std::int64_t panel,
           const Totals& totals) {
  const std::int64_t first = panel * kColumns, valid = p.columns - first;
  const __mmask16 mask = valid >= kColumns ? 0xffff : static_cast<__mmask16>((1u << valid) - 1);
  __m512 scale = _mm512_setzero_ps();
  if constexpr (!kScaled) scale = load_scales(p, grouped_scale_index(p, panel, 0));
  for (std::int64_t row = begin; row < end; ++row) {
    float* out = p.c + row * p.c_stride + first;
    __m512 value = _mm512_load_ps(totals[row - begin]);
    if constexpr (!kScaled) value = _mm512_mul_ps(value, scale);
    if (p.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, out));
    _mm512_mask_storeu_ps(out, mask, value);
  }
}

// Rows [begin, end) of the panels `panel` and, where there is one, the next. kScaled: groups have scales of
// their own, not a row.
template <bool kInt4, bool kScaled, bool kZeros>
void two_panels(const GroupedArgs& p, std::int64_t begin, std::int64_t end, std::int64_t panel) {
  alignas(64) Totals totals[2];
  alignas(64) std::byte piece[2][kPieceInputs * kColumns];
  alignas(64) Sums sums[4];
  const std::int64_t next = panel + 1 < p.panels ? panel + 1 : panel;  // a lone panel is computed twice
  const std::int64_t rows = (end - begin + kTileRows - 1) / kTileRows * kTileRows;
  for (auto& of_panel : totals) __builtin_memset(of_panel, 0, rows * sizeof(of_panel[0]));
  const std::int64_t step = kPieceInputs / p.group;
  for (std::int64_t first = 0; first < p.groups; first += step) {
    const std::int64_t last = p.groups - first < step ? p.groups : first + step;
    make_signed<kInt4>(p, panel, first, last, piece[0]);
    make_signed<kInt4>(p, next, first, last, piece[1]);
    publish_to_tiles();
    Unit before{};  // its floats are added up while the tiles of the next one are multiplied
    for (std::int64_t row = begin; row < end; row += kStripRows) {
      const bool high = row + kTileRows < end;
      for (std::int64_t g = first; g < last; ++g) {
        const std::int64_t offset = (g - first) * p.group * kColumns;
        multiply(p, p.a + row * p.a_stride + g * p.group, high, piece[0] + offset, piece[1] + offset);
        if (before.totals != nullptr) add_unit<kScaled, kZeros>(p, sums, before);
        _tile_stored(0, sums[0], kRowBytes);
        _tile_stored(1, sums[1], kRowBytes);
        if (high) {
          _tile_stored(2, sums[2], kRowBytes);
          _tile_stored(3, sums[3], kRowBytes);
        }
        before = {
            grouped_a_scales(p, row) + g, totals[0][row - begin], totals[1][row - begin], panel, g, high};
      }
    }
    add_unit<kScaled, kZeros>(p, sums, before);
  }
  store<kScaled>(p, begin, end, panel, totals[0]);
  if (next != panel) store<kScaled>(p, begin, end, next, totals[1]);
}

template <bool kInt4, bool kScaled, bool kZeros>
void all_panels(const GroupedArgs& p) {
  configure_thread();
  if (p.group < 64) configure_tiles(static_cast<int>(p.group));
  for (std::int64_t begin = 0; begin < p.m; begin += kBlockRows) {
    const std::int64_t end = p.m - begin < kBlockRows ? p.m : begin + kBlockRows;
    for (std::int64_t panel = 0; panel < p.panels; panel += 2)
      two_panels<kInt4, kScaled, kZeros>(p, begin, end, panel);
  }
  if (p.group < 64) configure_tiles(64);
}

}  // namespace

void amx_grouped_int4(const GroupedArgs& args) {
  (args.scale_groups == args.groups ? all_panels<true, true, false> : all_panels<true, false, false>)(args);
}

void amx_grouped_int8(const GroupedArgs& args) {
  const bool scaled = args.scale_groups == args.groups;
  if (args.zeros != nullptr)
    (scaled ? all_panels<false, true, true> : all_panels<false, false, true>)(args);
  else
    (scaled ? all_panels<false, true, false> : all_panels<false, false, false>)(args);
}

}  // namespace pagoda::kernels::cpu

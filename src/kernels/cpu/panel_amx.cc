// Panels by AMX tiles (Sapphire Rapids and later), for prefill and large batches. Compiled with AMX; called
// only where CPU and kernel allow it (Linux hands out the tile registers on request).
//
// Eight tiles of 16 rows x 64 bytes: C 2 x 2 in tiles 0..3, A in 4 and 5, B in 6 and 7, so that every load of
// A or B feeds two multiplications. A B tile is 16 rows of a panel as they lie in memory.

#include <immintrin.h>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/panel.h"

namespace pagoda::kernels::cpu {
namespace {

struct Bf16 {
  static void multiply_4() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  static __m512 finish(const PanelArgs&, const void* sums, std::int64_t, std::int64_t, __mmask16) {
    return _mm512_loadu_ps(sums);
  }
};

struct Int8 {
  static void multiply_4() {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  static __m512 finish(const PanelArgs& p, const void* sums, std::int64_t row, std::int64_t column,
                       __mmask16 mask) {
    const __m512i exact =
        _mm512_sub_epi32(_mm512_loadu_si512(sums), _mm512_maskz_loadu_epi32(mask, p.column_offset + column));
    const __m512 scale =
        _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, p.column_scale + column), _mm512_set1_ps(p.row_scale[row]));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(exact), scale);
  }
};

template <typename Dot>
void store(const PanelArgs& p, const float (&sums)[kTileRows][kPanelColumns], std::int64_t row,
           std::int64_t panel) {
  if (panel >= p.panels) return;
  const std::int64_t first = panel * kPanelColumns;
  const std::int64_t valid = p.columns - first;
  const __mmask16 mask = valid >= kPanelColumns ? 0xffff : static_cast<__mmask16>((1u << valid) - 1);
  const std::int64_t rows = p.m - row < kTileRows ? p.m - row : kTileRows;
  for (std::int64_t i = 0; i < rows; ++i) {
    float* c = p.c + (row + i) * p.c_stride + first;
    __m512 value = Dot::finish(p, sums[i], row + i, first, mask);
    if (p.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, c));
    _mm512_mask_storeu_ps(c, mask, value);
  }
}

template <typename Dot>
void run(const PanelArgs& p) {
  configure_thread();
  const char* a = static_cast<const char*>(p.a);
  alignas(64) float sums[4][kTileRows][kPanelColumns];
  for (std::int64_t panel = 0; panel < p.panels; panel += 2) {
    const std::byte* b = p.segments[0] + panel * p.panel_stride;
    const std::byte* b_next =
        panel + 1 < p.panels ? b + p.panel_stride : b;  // an odd panel is computed twice
    for (std::int64_t row = 0; row < p.m; row += 2 * kTileRows) {
      const char* a_low = a + row * p.a_stride;
      const char* a_high = row + kTileRows < p.m ? a_low + kTileRows * p.a_stride : a_low;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (std::int64_t g = 0; g < p.groups; g += kTileRows) {
        _tile_loadd(4, a_low + g * 4, p.a_stride);
        _tile_loadd(5, a_high + g * 4, p.a_stride);
        _tile_loadd(6, b + g * kPanelRowBytes, kPanelRowBytes);
        _tile_loadd(7, b_next + g * kPanelRowBytes, kPanelRowBytes);
        Dot::multiply_4();
      }
      _tile_stored(0, sums[0], 64);
      _tile_stored(1, sums[1], 64);
      _tile_stored(2, sums[2], 64);
      _tile_stored(3, sums[3], 64);
      store<Dot>(p, sums[0], row, panel);
      store<Dot>(p, sums[1], row, panel + 1);
      if (row + kTileRows < p.m) {
        store<Dot>(p, sums[2], row + kTileRows, panel);
        store<Dot>(p, sums[3], row + kTileRows, panel + 1);
      }
    }
  }
}

}  // namespace

void amx_bf16_panels(const PanelArgs& args) { run<Bf16>(args); }
void amx_int8_panels(const PanelArgs& args) { run<Int8>(args); }

}  // namespace pagoda::kernels::cpu

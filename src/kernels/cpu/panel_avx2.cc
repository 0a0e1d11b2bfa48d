// INT8 panels (a scale per column) by VPMADDUBSW, with signed activations. Compiled for AVX2; called only
// where the CPU has it. A tile is MR rows of A by one panel; integer_avx2.h has its inner loop.

#include <immintrin.h>

#include "kernels/cpu/integer_avx2.h"
#include "kernels/cpu/panel.h"

namespace pagoda::kernels::cpu {
namespace {

constexpr int kMaxRows =
    4;  // of a tile: 8 accumulators, two registers of weights and their sizes, A, products
// Rows of A that are multiplied with one panel after another before the next rows: they stay in L2 meanwhile.
constexpr std::int64_t kBlockRows = 96, kBlockBytes = 256 << 10;

template <int MR>
__attribute__((noinline)) void tile(const PanelArgs& p, std::int64_t row, std::int64_t panel) {
  const std::byte* a = static_cast<const std::byte*>(p.a) + row * p.a_stride;
  __m256i sum[MR][2];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) sum[i][0] = sum[i][1] = _mm256_setzero_si256();
  for (std::int64_t s = 0; s < p.num_segments; ++s) {
    const std::byte* b = panel_base(p, s, panel);
    for (std::int64_t g = 0; g < p.groups; g += 8, a += 32, b += Int8<false>::kBytesOf32)
      Int8<false>::add_32<MR>(sum, a, p.a_stride, b);
  }
  const std::int64_t first = panel * kPanelColumns;
  const std::int64_t valid = p.columns - first < kPanelColumns ? p.columns - first : kPanelColumns;
  alignas(32) float scale[kPanelColumns] = {}, value[kPanelColumns];
  for (std::int64_t n = 0; n < valid; ++n) scale[n] = p.column_scale[first + n];
  for (int i = 0; i < MR; ++i) {
    const __m256 row_scale = _mm256_broadcast_ss(p.row_scale + row + i);
    for (int j = 0; j < 2; ++j)
      _mm256_store_ps(value + 8 * j, _mm256_mul_ps(_mm256_cvtepi32_ps(sum[i][j]),
                                                   _mm256_mul_ps(_mm256_load_ps(scale + 8 * j), row_scale)));
    float* out = p.c + (row + i) * p.c_stride + first;
    for (std::int64_t n = 0; n < valid; ++n) out[n] = p.accumulate ? out[n] + value[n] : value[n];
  }
}

void rows_of_tiles(const PanelArgs& p, std::int64_t panel, std::int64_t begin, std::int64_t end) {
  for (std::int64_t left = (end - begin + kMaxRows - 1) / kMaxRows; left > 0; --left) {
    const std::int64_t rows = (end - begin) / left;
    switch (rows) {
      case 1:
        tile<1>(p, begin, panel);
        break;
      case 2:
        tile<2>(p, begin, panel);
        break;
      case 3:
        tile<3>(p, begin, panel);
        break;
      default:
        tile<4>(p, begin, panel);
    }
    begin += rows;
  }
}

}  // namespace

void avx2_int8_panels(const PanelArgs& p) {
  const std::int64_t fitting = kBlockBytes / (p.num_segments * p.groups * kInt8Group) / kMaxRows * kMaxRows;
  const std::int64_t block = fitting > kBlockRows ? kBlockRows : fitting > kMaxRows ? fitting : kMaxRows;
  for (std::int64_t begin = 0; begin < p.m; begin += block)
    for (std::int64_t panel = 0; panel < p.panels; ++panel)
      rows_of_tiles(p, panel, begin, p.m - begin < block ? p.m : begin + block);
}

}  // namespace pagoda::kernels::cpu

// A blocked product in Highway: panels of b and tiles of a are packed so that the innermost loop streams
// both, and a tile of 6 x 2 vectors of c stays in registers.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/matrix_product.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "quantize/matrix_product.h"

HWY_BEFORE_NAMESPACE();
namespace pagoda::quantize::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::CappedTag<float, 16> kF32;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(kF32));
constexpr int kTileRows = 6, kTileColumns = 2 * kLanes;
constexpr std::int64_t kDepth = 256;    // of k at once: a panel of b is 16 KiB with AVX2
constexpr std::int64_t kMostRows = 96;  // rows of c a task: its packed a is 96 KiB

// c tile [kTileRows, kTileColumns] += a tile [depth, kTileRows] times b panel [depth, kTileColumns].
void tile(const float* a, const float* b, std::int64_t depth, float* c, std::int64_t stride) {
  hn::Vec<decltype(kF32)> sum[kTileRows][2];
  for (int i = 0; i < kTileRows; ++i)
    for (int j = 0; j < 2; ++j) sum[i][j] = hn::LoadU(kF32, c + i * stride + j * kLanes);
  for (std::int64_t k = 0; k < depth; ++k) {
    const auto b0 = hn::LoadU(kF32, b + k * kTileColumns);
    const auto b1 = hn::LoadU(kF32, b + k * kTileColumns + kLanes);
    for (int i = 0; i < kTileRows; ++i) {
      const auto factor = hn::Set(kF32, a[k * kTileRows + i]);
      sum[i][0] = hn::MulAdd(factor, b0, sum[i][0]);
      sum[i][1] = hn::MulAdd(factor, b1, sum[i][1]);
    }
  }
  for (int i = 0; i < kTileRows; ++i)
    for (int j = 0; j < 2; ++j) hn::StoreU(sum[i][j], kF32, c + i * stride + j * kLanes);
}

void edge_tile(const float* a, const float* b, std::int64_t depth, float* c, std::int64_t stride,
               std::int64_t rows, std::int64_t columns) {
  float full[kTileRows * kTileColumns] = {};
  for (std::int64_t i = 0; i < rows; ++i) std::copy_n(c + i * stride, columns, full + i * kTileColumns);
  tile(a, b, depth, full, kTileColumns);
  for (std::int64_t i = 0; i < rows; ++i) std::copy_n(full + i * kTileColumns, columns, c + i * stride);
}

void pack_rows(MatrixRef a, float sign, std::int64_t first, std::int64_t rows, std::int64_t k,
               std::int64_t depth, float* packed) {
  for (std::int64_t t = 0; t < rows; t += kTileRows)
    for (std::int64_t d = 0; d < depth; ++d)
      for (std::int64_t i = 0; i < kTileRows; ++i)
        *packed++ =
            t + i < rows ? sign * a.data[(first + t + i) * a.row_stride + (k + d) * a.column_stride] : 0.0f;
}

void multiply_add(MatrixRef a, MatrixRef b, float sign, float* c, std::int64_t stride, bool upper_only,
                  base::ThreadPool& threads) {
  const std::int64_t panels = (b.columns + kTileColumns - 1) / kTileColumns;
  // A few tasks a thread where there are few rows; whole tiles each.
  const std::int64_t share = a.rows / (2 * threads.size()) / kTileRows * kTileRows;
  const std::int64_t rows_each = std::clamp<std::int64_t>(share, kTileRows, kMostRows);
  std::vector<float> packed_b(panels * kTileColumns * std::min(kDepth, std::max<std::int64_t>(a.columns, 1)));
  std::vector<std::vector<float>> packed_a(threads.size(), std::vector<float>(rows_each * kDepth));
  for (std::int64_t k = 0; k < a.columns; k += kDepth) {
    const std::int64_t depth = std::min(kDepth, a.columns - k);
    const auto panel_of = [&](std::int64_t panel) { return packed_b.data() + panel * depth * kTileColumns; };
    threads.run(panels, 16, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t panel = begin; panel < end; ++panel) {
        const std::int64_t first = panel * kTileColumns;
        const std::int64_t columns = std::min<std::int64_t>(kTileColumns, b.columns - first);
        for (std::int64_t d = 0; d < depth; ++d) {
          float* out = panel_of(panel) + d * kTileColumns;
          std::copy_n(b.data + (k + d) * b.row_stride + first, columns, out);
          std::fill(out + columns, out + kTileColumns, 0.0f);
        }
      }
    });
    threads.run(a.rows, rows_each, [&](std::size_t begin, std::size_t end, int thread) {
      const auto rows = static_cast<std::int64_t>(end - begin), first = static_cast<std::int64_t>(begin);
      float* tiles = packed_a[thread].data();
      pack_rows(a, sign, first, rows, k, depth, tiles);
      for (std::int64_t panel = upper_only ? first / kTileColumns : 0; panel < panels; ++panel) {
        const std::int64_t column = panel * kTileColumns;
        const std::int64_t columns = std::min<std::int64_t>(kTileColumns, b.columns - column);
        for (std::int64_t t = 0; t < rows; t += kTileRows) {
          float* out = c + (first + t) * stride + column;
          const std::int64_t left = std::min<std::int64_t>(kTileRows, rows - t);
          if (left == kTileRows && columns == kTileColumns)
            tile(tiles + t * depth, panel_of(panel), depth, out, stride);
          else
            edge_tile(tiles + t * depth, panel_of(panel), depth, out, stride, left, columns);
        }
      }
    });
  }
}

}  // namespace pagoda::quantize::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pagoda::quantize {

HWY_EXPORT(multiply_add);

void multiply_add(MatrixRef a, MatrixRef b, float sign, float* c, std::int64_t stride, bool upper_only,
                  base::ThreadPool& threads) {
  HWY_DYNAMIC_DISPATCH(multiply_add)(a, b, sign, c, stride, upper_only, threads);
}

void accumulate_gram(MatrixRef x, float* gram, base::ThreadPool& threads) {
  multiply_add(x.transposed(), x, 1.0f, gram, x.columns, /*upper_only=*/true, threads);
}

void mirror_upper(float* matrix, std::int64_t n) {
  constexpr std::int64_t kBlock = 64;  // both sides of a block stay in L1
  for (std::int64_t i0 = 0; i0 < n; i0 += kBlock)
    for (std::int64_t j0 = i0; j0 < n; j0 += kBlock)
      for (std::int64_t i = i0; i < std::min(i0 + kBlock, n); ++i)
        for (std::int64_t j = std::max(j0, i + 1); j < std::min(j0 + kBlock, n); ++j)
          matrix[j * n + i] = matrix[i * n + j];
}

}  // namespace pagoda::quantize
#endif

#include "kernels/round_to_nearest.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/dtype.h"

namespace pagoda::kernels {
namespace {

struct Grid {
  float scale;
  int zero, lowest, highest;
};

Grid grid_of(const float* w, std::int64_t count, WeightFormat format, bool symmetric) {
  const bool int4 = format == WeightFormat::kInt4;
  Grid grid{1, symmetric_zero(format), int4 ? 0 : -128, int4 ? 15 : 127};
  const auto [low, high] = std::minmax_element(w, w + count);
  if (symmetric) {
    const float largest = std::max(std::fabs(*low), std::fabs(*high));
    if (!int4) grid.lowest = -127;
    const float scale = int4 ? 2 * largest / 15 : largest / 127;
    if (scale > 0) grid.scale = scale;  // the smallest subnormals leave none
    return grid;
  }
  const float bottom = std::min(*low, 0.0f), top = std::max(*high, 0.0f);
  if (top > bottom) grid.scale = (top - bottom) / static_cast<float>(grid.highest - grid.lowest);
  grid.zero = std::clamp(grid.lowest + static_cast<int>(std::nearbyint(-bottom / grid.scale)), grid.lowest,
                         grid.highest);
  return grid;
}

}  // namespace

void round_to_nearest(const float* row, std::int64_t in, WeightFormat format, std::int64_t group_size,
                      bool symmetric, const QuantizedRow& out) {
  const std::int64_t group = group_size == 0 ? in : group_size;
  for (std::int64_t g = 0, begin = 0; begin < in; ++g, begin += group) {
    const std::int64_t count = std::min(group, in - begin);
    const Grid grid = grid_of(row + begin, count, format, symmetric);
    out.scales[g] = grid.scale;
    out.zeros[g] = static_cast<std::int8_t>(grid.zero);
    for (std::int64_t j = begin; j < begin + count; ++j) {
      const int value = static_cast<int>(std::nearbyint(row[j] / grid.scale)) + grid.zero;
      out.values[j] = static_cast<std::int8_t>(std::clamp(value, grid.lowest, grid.highest));
    }
  }
}

WeightSource rounded(WeightSource source, bool symmetric) {
  source.has_zeros = !symmetric;
  source.set_row_quantized([row_f32 = source.row_f32, in = source.in_features, format = source.format,
                            group_size = source.group_size,
                            symmetric](std::int64_t row, const QuantizedRow& out) {
    std::vector<float> values(in);
    row_f32(row, values.data());
    round_to_nearest(values.data(), in, format, group_size, symmetric, out);
  });
  return source;
}

void round_to_fp8(const float* row, std::int64_t in, std::uint8_t* out, float* scale) {
  float largest = 0;
  for (std::int64_t i = 0; i < in; ++i) largest = std::max(largest, std::fabs(row[i]));
  *scale = largest > 0 ? largest / 448.0f : 1.0f;
  for (std::int64_t i = 0; i < in; ++i) out[i] = tensor::float_to_float8_e4m3(row[i] / *scale);
}

WeightSource rounded_fp8(WeightSource source) {
  source.format = WeightFormat::kFp8;
  source.row_fp8 = [row_f32 = source.row_f32, in = source.in_features](std::int64_t row, std::uint8_t* out,
                                                                       float* scale) {
    std::vector<float> values(in);
    row_f32(row, values.data());
    round_to_fp8(values.data(), in, out, scale);
  };
  return source;
}

}  // namespace pagoda::kernels

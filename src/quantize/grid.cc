#include "quantize/grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/dtype.h"

namespace pagoda::quantize {
namespace {

// Ranges from 1 down to 1 - kShrinkSteps / 40. Below that no group of the models tried had its best.
constexpr int kShrinkSteps = 20;
constexpr float kLargestFp8 = 448;

Grid grid_between(float low, float high, const Scheme& scheme) {
  if (scheme.fp8) {
    const float largest = std::max(-low, high);
    return {largest > 0 ? largest / kLargestFp8 : 1.0f, 0};
  }
  const int highest = (1 << scheme.bits) - 1, middle = 1 << (scheme.bits - 1);
  if (scheme.symmetric) {
    const float largest = std::max(-low, high);
    return {storable_scale(2 * largest / static_cast<float>(highest)), middle};
  }
  const float scale = storable_scale((high - low) / static_cast<float>(highest));
  // Zero 0 cannot be stored by GPTQ; the range then begins one step lower.
  return {scale, std::clamp(static_cast<int>(std::lround(-low / scale)), 1, highest)};
}

template <typename Error>
Grid search(const float* w, std::int64_t count, const Scheme& scheme, const Error& error_of) {
  const auto [low, high] = std::minmax_element(w, w + count);
  const float bottom = std::min(*low, 0.0f), top = std::max(*high, 0.0f);
  Grid best;
  double least = std::numeric_limits<double>::infinity();
  for (int step = 0; step < kShrinkSteps; ++step) {
    const float share = 1.0f - static_cast<float>(step) / (2.0f * kShrinkSteps);
    const Grid grid = grid_between(bottom * share, top * share, scheme);
    const double error = error_of(grid);
    if (error < least) {
      least = error;
      best = grid;
    }
  }
  return best;
}

}  // namespace

const std::array<float, 256>& fp8_values() {
  static const std::array<float, 256> kValues = [] {
    std::array<float, 256> values{};
    for (int byte = 0; byte < 256; ++byte)
      values[byte] = tensor::float8_e4m3_to_float(static_cast<std::uint8_t>(byte));
    return values;
  }();
  return kValues;
}

float storable_scale(float scale) {
  if (!(scale > 0)) return 1;
  const float half = tensor::half_to_float(tensor::float_to_half(scale));
  return std::isfinite(half) && half > 0 ? half : half > 0 ? 65504.0f : 0x1p-24f;
}

Grid grid_of_range(const float* w, std::int64_t count, const Scheme& scheme) {
  const auto [low, high] = std::minmax_element(w, w + count);
  return grid_between(std::min(*low, 0.0f), std::max(*high, 0.0f), scheme);
}

Grid best_grid(const float* w, const float* importance, std::int64_t count, const Scheme& scheme) {
  return search(w, count, scheme, [&](const Grid& grid) {
    double error = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const double difference = w[i] - on_grid(w[i], grid, scheme);
      error += difference * difference * (importance == nullptr ? 1.0 : importance[i]);
    }
    return error;
  });
}

Grid best_grid_for_outputs(const float* w, const float* gram, std::int64_t count, const Scheme& scheme) {
  std::vector<float> error(count), product(count);
  return search(w, count, scheme, [&](const Grid& grid) {
    for (std::int64_t i = 0; i < count; ++i) error[i] = w[i] - on_grid(w[i], grid, scheme);
    std::fill(product.begin(), product.end(), 0.0f);
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t j = 0; j < count; ++j) product[j] += error[i] * gram[i * count + j];
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(error[i]) * product[i];
    return sum;
  });
}

void QuantizedMatrix::dequantize_row(std::int64_t row, float* out_row) const {
  for (std::int64_t i = 0; i < in; ++i) {
    const std::int64_t at = row * groups() + group_of(i);
    out_row[i] = value_on_grid(values[row * in + i], {scales[at], zeros[at]}, scheme);
  }
}

}  // namespace pagoda::quantize

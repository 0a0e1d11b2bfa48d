#pragma once
// The integers that a group of weights may become: its scale and zero point, and how they are chosen.

#include <array>
#include <cstdint>
#include <vector>

#include "tensor/dtype.h"

namespace pagoda::quantize {

// How a matrix is to be stored: w = (value - zero) * scale with values in [0, 2^bits), or, of e4m3, w = what
// the byte stands for * scale.
struct Scheme {
  int bits = 4;                   // 4 or 8
  std::int64_t group_size = 128;  // inputs that share scale and zero; 0: the whole row
  bool symmetric = true;          // zero is 2^(bits-1)
  bool fp8 = false;               // values are e4m3 floats, zeros are not used; bits is 8, symmetric true
  std::int64_t groups(std::int64_t in) const {
    return group_size == 0 ? 1 : (in + group_size - 1) / group_size;
  }
  std::int64_t width(std::int64_t in) const { return group_size == 0 ? in : group_size; }
};

struct Grid {
  float scale = 1;  // positive, and exact in half precision, as the files store it; any float for e4m3
  int zero = 0;     // at least 1: the layout of GPTQ stores it less one; 0 for e4m3
};

// A quantised matrix, row-major. Group g of a row is inputs order[g * size ...] where there is an order.
struct QuantizedMatrix {
  std::int64_t out = 0, in = 0;
  Scheme scheme;
  std::vector<std::uint8_t> values;          // [out, in], in the order of the inputs
  std::vector<float> scales;                 // [out, groups]
  std::vector<std::uint8_t> zeros;           // [out, groups]
  std::vector<std::int32_t> group_of_input;  // [in]; empty: input / group_size

  std::int64_t groups() const { return scheme.groups(in); }
  std::int64_t group_of(std::int64_t input) const {
    return group_of_input.empty() ? input / scheme.width(in) : group_of_input[input];
  }
  void dequantize_row(std::int64_t row, float* out_row) const;
};

// What each byte of e4m3 stands for.
const std::array<float, 256>& fp8_values();

// What `value` stands for.
inline float value_on_grid(int value, const Grid& grid, const Scheme& scheme) {
  if (scheme.fp8) return fp8_values()[value & 255] * grid.scale;
  return static_cast<float>(value - grid.zero) * grid.scale;
}
inline int nearest_value(float w, const Grid& grid, const Scheme& scheme) {
  const float scaled = w / grid.scale;
  if (scheme.fp8) return tensor::float_to_float8_e4m3(scaled);
  const int highest = (1 << scheme.bits) - 1;
  // Compared as floats first: the quotient may be beyond every integer.
  const float value = __builtin_nearbyintf(scaled < -1e6f ? -1e6f : scaled > 1e6f ? 1e6f : scaled);
  const int rounded = static_cast<int>(value) + grid.zero;
  return rounded < 0 ? 0 : rounded > highest ? highest : rounded;
}
inline float on_grid(float w, const Grid& grid, const Scheme& scheme) {
  return value_on_grid(nearest_value(w, grid, scheme), grid, scheme);
}

// The nearest half that is positive; 1 for what is not positive: a group of zeros.
float storable_scale(float scale);

// The range of the weights: max|w| (symmetric), or from the least to the largest, 0 included.
Grid grid_of_range(const float* w, std::int64_t count, const Scheme& scheme);
// The best of ranges shrunk step by step, by the sum of importance[i] (w - q)^2 (null: all 1).
Grid best_grid(const float* w, const float* importance, std::int64_t count, const Scheme& scheme);
// The same by the error e of the outputs, e^T gram e with gram [count, count].
Grid best_grid_for_outputs(const float* w, const float* gram, std::int64_t count, const Scheme& scheme);

}  // namespace pagoda::quantize

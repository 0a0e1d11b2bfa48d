#pragma once
// Random matrices for the parity tests, and how far two of them lie apart.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "tensor/view.h"

namespace pagoda::kernels {

// Floats with a view of them; rows may be padded.
struct Matrix {
  std::vector<float> values;
  tensor::View view;
  Matrix(std::int64_t rows, std::int64_t cols, std::int64_t padding = 0) : values(rows * (cols + padding)) {
    view = tensor::View::of(values.data(), rows, cols, cols + padding);
  }
  Matrix(const Matrix& other) : values(other.values), view(other.view) {
    view = tensor::View::of(values.data(), other.view.rows, other.view.cols, other.view.stride);
  }
};

class Random {
 public:
  explicit Random(unsigned seed) : generator_(seed) {}
  float normal() { return normal_(generator_); }
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator_); }
  void fill(Matrix& matrix) {
    for (float& value : matrix.values) value = normal();
  }
  // Whole numbers; every 32nd is the largest that there is, so that each group is scaled by 1. `extreme`: all
  // have that size.
  void fill_integers(Matrix& matrix, bool extreme) {
    for (std::int64_t r = 0; r < matrix.view.rows; ++r) {
      const int sign = between(0, 1) == 0 ? 1 : -1;
      for (std::int64_t c = 0; c < matrix.view.cols; ++c)
        matrix.view.row(r)[c] = static_cast<float>(extreme || c % 32 == 0 ? 127 * sign : between(-127, 127));
    }
  }
  std::vector<std::int32_t> permutation(std::int64_t n) {
    std::vector<std::int32_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), generator_);
    return order;
  }

 private:
  std::mt19937 generator_;
  std::normal_distribution<float> normal_;
};

// Largest difference as a share of the root mean square of the expected values.
inline double relative_error(const tensor::View& actual, const tensor::View& expected) {
  double worst = 0, squares = 0;
  for (std::int64_t r = 0; r < expected.rows; ++r)
    for (std::int64_t c = 0; c < expected.cols; ++c) {
      const double difference = std::abs(static_cast<double>(actual.row(r)[c]) - expected.row(r)[c]);
      if (!(difference <= worst)) worst = difference;  // NaN sticks
      squares += static_cast<double>(expected.row(r)[c]) * expected.row(r)[c];
    }
  return worst / std::sqrt(squares / static_cast<double>(expected.rows * expected.cols) + 1e-30);
}

}  // namespace pagoda::kernels

#include "quantize/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "quantize/matrix_product.h"
#include "quantize/refine.h"

namespace pagoda::quantize {
namespace {

using Order = std::vector<std::int32_t>;  // position -> input

QuantizedMatrix empty_matrix(std::int64_t out, std::int64_t in, const Scheme& scheme) {
  QuantizedMatrix matrix;
  matrix.out = out;
  matrix.in = in;
  matrix.scheme = scheme;
  matrix.values.resize(out * in);
  matrix.scales.resize(out * matrix.groups());
  matrix.zeros.resize(out * matrix.groups());
  return matrix;
}

void set_grid(QuantizedMatrix& matrix, std::int64_t row, std::int64_t group, const Grid& grid) {
  matrix.scales[row * matrix.groups() + group] = grid.scale;
  matrix.zeros[row * matrix.groups() + group] = static_cast<std::uint8_t>(grid.zero);
}

Grid grid_at(const QuantizedMatrix& matrix, std::int64_t row, std::int64_t group) {
  const std::int64_t at = row * matrix.groups() + group;
  return {matrix.scales[at], matrix.zeros[at]};
}

std::vector<float> diagonal_of(std::span<const float> gram, std::int64_t n) {
  std::vector<float> diagonal(n);
  for (std::int64_t i = 0; i < n; ++i) diagonal[i] = gram[i * n + i];
  return diagonal;
}

Order order_of(const std::vector<float>& diagonal, bool by_size) {
  Order order(diagonal.size());
  std::iota(order.begin(), order.end(), 0);
  if (by_size)
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return diagonal[a] > diagonal[b]; });
  return order;
}

// U of the damped gram with its rows and columns in `order`.
std::vector<float> inverse_factor(std::span<const float> gram, const std::vector<float>& diagonal,
                                  const Order& order, double damping, base::ThreadPool& threads) {
  const auto n = static_cast<std::int64_t>(order.size());
  const double mean = std::accumulate(diagonal.begin(), diagonal.end(), 0.0) / static_cast<double>(n);
  std::vector<float> h(n * n);
  // An input never seen is rounded to nearest by itself: its row is zero but for the diagonal.
  for (double share = damping;; share = std::max(share * 10, 1e-6)) {
    const auto added = static_cast<float>(mean > 0 ? share * mean : 1.0);
    threads.run(n, 64, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::int64_t j = i; j < n; ++j) {
          const std::int64_t a = order[i], b = order[j];
          h[i * n + j] = gram[std::min(a, b) * n + std::max(a, b)] + (a == b ? added : 0.0f);
        }
    });
    mirror_upper(h.data(), n);
    if (inverse_cholesky(h.data(), n, threads)) return h;
    CHECK(share < 1e6);  // a gram is positive semidefinite, and the matrix is almost its diagonal by now
  }
}

}  // namespace

QuantizedMatrix gptq(std::span<const float> w, std::int64_t out, std::int64_t in, std::span<const float> gram,
                     const Scheme& scheme, const GptqOptions& options, base::ThreadPool& threads) {
  const std::int64_t size = scheme.group_size;
  CHECK(size == 0 || kGptqBlock % size == 0 || size % kGptqBlock == 0);
  QuantizedMatrix matrix = empty_matrix(out, in, scheme);
  const std::vector<float> diagonal = diagonal_of(gram, in);
  const Order order = order_of(diagonal, options.act_order);
  const std::vector<float> u = inverse_factor(gram, diagonal, order, options.damping, threads);
  const bool dynamic = !options.static_groups && size != 0;
  if (dynamic && options.act_order) {
    matrix.group_of_input.resize(in);
    for (std::int64_t i = 0; i < in; ++i)
      matrix.group_of_input[order[i]] = static_cast<std::int32_t>(i / size);
  }
  std::vector<float> importance(in);  // by position where groups are made by position
  for (std::int64_t i = 0; i < in; ++i) importance[i] = diagonal[dynamic ? order[i] : i];

  std::vector<float> rest(out * in);  // weights in the order of the steps, with the errors so far
  threads.run(out, 16, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t row = begin; row < end; ++row) {
      const float* from = w.data() + row * in;
      for (std::int64_t i = 0; i < in; ++i) rest[row * in + i] = from[order[i]];
      if (dynamic) continue;
      for (std::int64_t g = 0; g < matrix.groups(); ++g) {
        const std::int64_t first = g * scheme.width(in), count = std::min(scheme.width(in), in - first);
        set_grid(matrix, static_cast<std::int64_t>(row), g,
                 best_grid(from + first, importance.data() + first, count, scheme));
      }
    }
  });

  std::vector<float> errors(out * kGptqBlock);
  for (std::int64_t b = 0; b < in; b += kGptqBlock) {
    const std::int64_t e = std::min(b + kGptqBlock, in);
    threads.run(out, 8, [&](std::size_t begin, std::size_t end, int) {
      for (auto row = static_cast<std::int64_t>(begin); row < static_cast<std::int64_t>(end); ++row) {
        float* left = rest.data() + row * in;
        for (std::int64_t i = b; i < e; ++i) {
          if (dynamic && i % size == 0)
            set_grid(matrix, row, i / size,
                     best_grid(left + i, importance.data() + i, std::min(size, in - i), scheme));
          const std::int64_t input = order[i];
          const Grid grid = grid_at(matrix, row, dynamic ? i / size : input / scheme.width(in));
          const int value = nearest_value(left[i], grid, scheme);
          matrix.values[row * in + input] = static_cast<std::uint8_t>(value);
          const float* u_row = u.data() + i * in;
          const float error = (left[i] - value_on_grid(value, grid, scheme)) / u_row[i];
          for (std::int64_t j = i + 1; j < e; ++j) left[j] -= error * u_row[j];
          errors[row * kGptqBlock + i - b] = error;
        }
      }
    });
    if (e < in)
      multiply_add({errors.data(), out, e - b, kGptqBlock, 1}, {u.data() + b * in + e, e - b, in - e, in, 1},
                   -1.0f, rest.data() + e, in, /*upper_only=*/false, threads);
  }
  if (options.refine_rounds > 0) refine(w, gram, options.damping, options.refine_rounds, threads, &matrix);
  return matrix;
}

QuantizedMatrix round_to_nearest(std::span<const float> w, std::int64_t out, std::int64_t in,
                                 const Scheme& scheme, base::ThreadPool& threads) {
  QuantizedMatrix matrix = empty_matrix(out, in, scheme);
  threads.run(out, 16, [&](std::size_t begin, std::size_t end, int) {
    for (auto row = static_cast<std::int64_t>(begin); row < static_cast<std::int64_t>(end); ++row)
      for (std::int64_t g = 0; g < matrix.groups(); ++g) {
        const std::int64_t first = g * scheme.width(in), count = std::min(scheme.width(in), in - first);
        const float* from = w.data() + row * in + first;
        const Grid grid = grid_of_range(from, count, scheme);
        set_grid(matrix, row, g, grid);
        for (std::int64_t i = 0; i < count; ++i)
          matrix.values[row * in + first + i] =
              static_cast<std::uint8_t>(nearest_value(from[i], grid, scheme));
      }
  });
  return matrix;
}

MatrixError error_of(std::span<const float> w, const QuantizedMatrix& quantized, std::span<const float> gram,
                     base::ThreadPool& threads) {
  const std::int64_t out = quantized.out, in = quantized.in;
  std::vector<float> full(gram.begin(), gram.end());
  if (!full.empty()) mirror_upper(full.data(), in);
  double weight = 0, weight_error = 0, output = 0, output_error = 0;
  constexpr std::int64_t kRows = 256;  // at a time
  std::vector<float> difference(kRows * in), product(full.empty() ? 0 : kRows * in);
  const auto energy = [&](const float* rows, std::int64_t count) {
    std::fill(product.begin(), product.end(), 0.0f);
    multiply_add({rows, count, in, in, 1}, {full.data(), in, in, in, 1}, 1.0f, product.data(), in,
                 /*upper_only=*/false, threads);
    double sum = 0;
    for (std::int64_t i = 0; i < count * in; ++i) sum += static_cast<double>(rows[i]) * product[i];
    return sum;
  };
  for (std::int64_t first = 0; first < out; first += kRows) {
    const std::int64_t count = std::min(kRows, out - first);
    const float* rows = w.data() + first * in;
    for (std::int64_t r = 0; r < count; ++r) quantized.dequantize_row(first + r, difference.data() + r * in);
    for (std::int64_t i = 0; i < count * in; ++i) {
      difference[i] = rows[i] - difference[i];
      weight += static_cast<double>(rows[i]) * rows[i];
      weight_error += static_cast<double>(difference[i]) * difference[i];
    }
    if (full.empty()) continue;
    output += energy(rows, count);
    output_error += energy(difference.data(), count);
  }
  return {weight, weight_error, output, std::max(output_error, 0.0)};
}

double MatrixError::weights() const {
  return squared_weights > 0 ? std::sqrt(squared_weight_errors / squared_weights) : 0;
}
double MatrixError::outputs() const {
  return squared_outputs > 0 ? std::sqrt(squared_output_errors / squared_outputs) : 0;
}
void MatrixError::add(const MatrixError& other) {
  squared_weights += other.squared_weights;
  squared_weight_errors += other.squared_weight_errors;
  squared_outputs += other.squared_outputs;
  squared_output_errors += other.squared_output_errors;
}

}  // namespace pagoda::quantize

#include "quantize/refine.h"

#include <algorithm>
#include <cmath>

#include "quantize/matrix_product.h"
#include "tensor/dtype.h"

namespace pagoda::quantize {
namespace {

constexpr std::int64_t kRows = 256;  // of the matrix at a time
constexpr int kSweeps = 4;           // over the integers, at most, before scales are fitted again

// Solves a x = b, a symmetric positive definite [n, n], in place of b; false where it is not.
bool solve(std::vector<double>& a, std::vector<double>& b) {
  const auto n = static_cast<std::int64_t>(b.size());
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (std::int64_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      if (i == j && !(sum > 0)) return false;
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::int64_t i = n - 1; i >= 0; --i) {
    for (std::int64_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return true;
}

class Refinement {
 public:
  Refinement(std::span<const float> w, std::span<const float> gram, double damping, base::ThreadPool& threads,
             QuantizedMatrix& matrix)
      : w_(w), threads_(threads), matrix_(matrix), in_(matrix.in), h_(gram.begin(), gram.end()) {
    double trace = 0;
    for (std::int64_t i = 0; i < in_; ++i) trace += h_[i * in_ + i];
    const auto added = static_cast<float>(trace > 0 ? damping * trace / static_cast<double>(in_) : 1.0);
    for (std::int64_t i = 0; i < in_; ++i) h_[i * in_ + i] += added;
    mirror_upper(h_.data(), in_);
    error_.resize(kRows * in_);
    slope_.resize(kRows * in_);
  }

  void rows(std::int64_t first, std::int64_t count, int rounds) {
    first_ = first;
    count_ = count;
    for (int round = 0; round < rounds; ++round) {
      measure();
      threads_.run(count, 4, [&](std::size_t begin, std::size_t end, int) {
        for (std::size_t r = begin; r < end; ++r) decide_again(static_cast<std::int64_t>(r));
      });
      if (matrix_.group_of_input.empty()) fit_scales();
    }
    // Scales have moved: what is nearest may have, too.
    measure();
    threads_.run(count, 4, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t r = begin; r < end; ++r) decide_again(static_cast<std::int64_t>(r));
    });
  }

 private:
  // error_ = Q - W and slope_ = error_ H, half the slope of the error of the outputs.
  void measure() {
    threads_.run(count_, 4, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t r = begin; r < end; ++r) {
        float* error = error_.data() + r * in_;
        const float* w = w_.data() + (first_ + r) * in_;
        matrix_.dequantize_row(first_ + static_cast<std::int64_t>(r), error);
        for (std::int64_t i = 0; i < in_; ++i) error[i] -= w[i];
      }
    });
    std::fill_n(slope_.begin(), count_ * in_, 0.0f);
    multiply_add({error_.data(), count_, in_, in_, 1}, {h_.data(), in_, in_, in_, 1}, 1.0f, slope_.data(),
                 in_,
                 /*upper_only=*/false, threads_);
  }

  void decide_again(std::int64_t r) {
    const std::int64_t row = first_ + r;
    float* slope = slope_.data() + r * in_;
    std::uint8_t* values = matrix_.values.data() + row * in_;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      bool changed = false;
      for (std::int64_t i = 0; i < in_; ++i) {
        const std::int64_t at = row * matrix_.groups() + matrix_.group_of(i);
        const Grid grid{matrix_.scales[at], matrix_.zeros[at]};
        const float now = value_on_grid(values[i], grid, matrix_.scheme);
        const int value = nearest_value(now - slope[i] / h_[i * in_ + i], grid, matrix_.scheme);
        if (value == values[i]) continue;
        const float step = value_on_grid(value, grid, matrix_.scheme) - now;
        values[i] = static_cast<std::uint8_t>(value);
        const float* h = h_.data() + i * in_;
        for (std::int64_t k = 0; k < in_; ++k) slope[k] += step * h[k];
        changed = true;
      }
      if (!changed) return;
    }
  }

  // The scales of each row that make the error of its outputs least while the integers stay: with V the
  // integers less their zeros, group by group, (V H V^T) (change of the scales) = -V slope.
  void fit_scales() {
    measure();
    const std::int64_t groups = matrix_.groups(), width = matrix_.scheme.width(in_);
    std::vector<double> products(count_ * groups * groups);
    std::vector<float> integers(count_ * in_), through(count_ * in_);
    for (std::int64_t r = 0; r < count_; ++r)
      for (std::int64_t i = 0; i < in_; ++i)
        integers[r * in_ + i] =
            value_on_grid(matrix_.values[(first_ + r) * in_ + i],
                          {1.0f, matrix_.zeros[(first_ + r) * groups + i / width]}, matrix_.scheme);
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t begin = g * width, size = std::min(width, in_ - begin);
      std::fill(through.begin(), through.end(), 0.0f);
      multiply_add({integers.data() + begin, count_, size, in_, 1},
                   {h_.data() + begin * in_, size, in_, in_, 1}, 1.0f, through.data(), in_,
                   /*upper_only=*/false, threads_);
      threads_.run(count_, 16, [&](std::size_t from, std::size_t to, int) {
        for (std::size_t r = from; r < to; ++r)
          for (std::int64_t other = 0; other < groups; ++other) {
            float sum = 0;
            for (std::int64_t i = other * width; i < std::min((other + 1) * width, in_); ++i)
              sum += integers[r * in_ + i] * through[r * in_ + i];
            products[(r * groups + g) * groups + other] = sum;
          }
      });
    }
    threads_.run(count_, 4, [&](std::size_t from, std::size_t to, int) {
      for (std::size_t r = from; r < to; ++r) {
        std::vector<double> a(products.begin() + r * groups * groups,
                              products.begin() + (r + 1) * groups * groups),
            change(groups);
        for (std::int64_t g = 0; g < groups; ++g) {
          double sum = 0;
          for (std::int64_t i = g * width; i < std::min((g + 1) * width, in_); ++i)
            sum -= static_cast<double>(integers[r * in_ + i]) * slope_[r * in_ + i];
          change[g] = sum;
          a[g * groups + g] = a[g * groups + g] * 1.0001 + 1e-30;
        }
        if (!solve(a, change)) continue;
        float* scales = matrix_.scales.data() + (first_ + r) * groups;
        for (std::int64_t g = 0; g < groups; ++g) {
          const float fitted = scales[g] + static_cast<float>(change[g]);
          // A group whose scale would turn around or grow wild is better left alone.
          if (fitted > 0.5f * scales[g] && fitted < 2 * scales[g])
            scales[g] = matrix_.scheme.fp8 ? fitted : storable_scale(fitted);
        }
      }
    });
  }

  std::span<const float> w_;
  base::ThreadPool& threads_;
  QuantizedMatrix& matrix_;
  const std::int64_t in_;
  std::vector<float> h_;              // the damped gram, whole
  std::vector<float> error_, slope_;  // [kRows, in]
  std::int64_t first_ = 0, count_ = 0;
};

}  // namespace

void refine(std::span<const float> w, std::span<const float> gram, double damping, int rounds,
            base::ThreadPool& threads, QuantizedMatrix* matrix) {
  Refinement refinement(w, gram, damping, threads, *matrix);
  for (std::int64_t first = 0; first < matrix->out; first += kRows)
    refinement.rows(first, std::min(kRows, matrix->out - first), rounds);
}

}  // namespace pagoda::quantize

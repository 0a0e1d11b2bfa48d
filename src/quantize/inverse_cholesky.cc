// U upper triangular with U^T U = H^-1, without ever forming H^-1: with the order of rows and columns
// reversed, H = L L^T; turned back, H = R R^T with R upper triangular, and U = R^-1. One factorisation and
// one triangular inversion, blocked so that nearly all the work is in multiply_add.

#include <algorithm>
#include <cmath>

#include "quantize/matrix_product.h"

namespace pagoda::quantize {
namespace {

constexpr std::int64_t kBlock = 64;

// In the block [b, e) of a: its own factor R, found from the last column backwards, in double.
bool factor_block(float* a, std::int64_t n, std::int64_t b, std::int64_t e) {
  for (std::int64_t j = e - 1; j >= b; --j)
    for (std::int64_t i = j; i >= b; --i) {
      double sum = a[i * n + j];
      for (std::int64_t k = j + 1; k < e; ++k)
        sum -= static_cast<double>(a[i * n + k]) * static_cast<double>(a[j * n + k]);
      if (i == j) {
        if (!(sum > 0)) return false;
        a[j * n + j] = static_cast<float>(std::sqrt(sum));
      } else {
        a[i * n + j] = static_cast<float>(sum / a[j * n + j]);
      }
    }
  return true;
}

// Rows [0, b) of the columns of the block: X with X R^T = A.
void solve_above(float* a, std::int64_t n, std::int64_t b, std::int64_t e, base::ThreadPool& threads) {
  threads.run(b, 16, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i)
      for (std::int64_t j = e - 1; j >= b; --j) {
        double sum = a[i * n + j];
        for (std::int64_t k = j + 1; k < e; ++k)
          sum -= static_cast<double>(a[i * n + k]) * static_cast<double>(a[j * n + k]);
        a[i * n + j] = static_cast<float>(sum / a[j * n + j]);
      }
  });
}

// R in the upper triangle of a, H = R R^T.
bool factor(float* a, std::int64_t n, base::ThreadPool& threads) {
  std::vector<float> transposed;
  for (std::int64_t e = n; e > 0;) {
    const std::int64_t b = std::max<std::int64_t>(0, e - kBlock), width = e - b;
    if (!factor_block(a, n, b, e)) return false;
    solve_above(a, n, b, e, threads);
    // What is left above: A -= X X^T.
    transposed.resize(width * b);
    for (std::int64_t i = 0; i < b; ++i)
      for (std::int64_t k = 0; k < width; ++k) transposed[k * b + i] = a[i * n + b + k];
    multiply_add({a + b, b, width, n, 1}, {transposed.data(), width, b, b, 1}, -1.0f, a, n,
                 /*upper_only=*/true, threads);
    e = b;
  }
  return true;
}

// The inverse of the triangular block [b, e) of a, [width, width].
std::vector<double> inverse_of_block(const float* a, std::int64_t n, std::int64_t b, std::int64_t e) {
  const std::int64_t width = e - b;
  std::vector<double> inverse(width * width);
  for (std::int64_t j = 0; j < width; ++j)
    for (std::int64_t i = j; i >= 0; --i) {
      double sum = i == j ? 1.0 : 0.0;
      for (std::int64_t k = i + 1; k <= j; ++k) sum -= a[(b + i) * n + b + k] * inverse[k * width + j];
      inverse[i * width + j] = sum / a[(b + i) * n + b + i];
    }
  return inverse;
}

// R becomes R^-1, block row by block row from the last: U_bb = R_bb^-1, and right of it -U_bb (R_b. U..).
void invert(float* a, std::int64_t n, base::ThreadPool& threads) {
  std::vector<float> product;
  for (std::int64_t e = n; e > 0;) {
    const std::int64_t b = std::max<std::int64_t>(0, e - kBlock), width = e - b, right = n - e;
    const std::vector<double> inverse = inverse_of_block(a, n, b, e);
    product.assign(width * right, 0.0f);
    multiply_add({a + b * n + e, width, right, n, 1}, {a + e * n + e, right, right, n, 1}, -1.0f,
                 product.data(), right,
                 /*upper_only=*/false, threads);
    threads.run(right, 256, [&](std::size_t begin, std::size_t end, int) {
      for (std::int64_t i = 0; i < width; ++i)
        for (std::size_t j = begin; j < end; ++j) {
          double sum = 0;
          for (std::int64_t k = i; k < width; ++k)
            sum += inverse[i * width + k] * static_cast<double>(product[k * right + j]);
          a[(b + i) * n + e + j] = static_cast<float>(sum);
        }
    });
    for (std::int64_t i = 0; i < width; ++i)
      for (std::int64_t j = i; j < width; ++j)
        a[(b + i) * n + b + j] = static_cast<float>(inverse[i * width + j]);
    e = b;
  }
}

}  // namespace

bool inverse_cholesky(float* h, std::int64_t n, base::ThreadPool& threads) {
  if (!factor(h, n, threads)) return false;
  for (std::int64_t i = 1; i < n; ++i) std::fill_n(h + i * n, i, 0.0f);
  invert(h, n, threads);
  return true;
}

}  // namespace pagoda::quantize

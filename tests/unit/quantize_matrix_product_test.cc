#include "quantize/matrix_product.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

namespace pagoda::quantize {
namespace {

std::vector<float> random_floats(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(MatrixProduct, AgreesWithDoubles) {
  unsigned seed = 0;
  for (const int threads : {1, 3})
    for (const auto [m, k, n] : {std::array<std::int64_t, 3>{1, 1, 1},
                                 {5, 3, 2},
                                 {6, 256, 16},
                                 {97, 300, 33},
                                 {100, 513, 65},
                                 {200, 1, 40}})
      for (const bool transposed : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {} {}", m, k, n, transposed));
        base::ThreadPool pool(threads);
        const std::vector<float> a = random_floats(m * k, ++seed), b = random_floats(k * n, ++seed);
        const std::int64_t stride = n + 3;
        std::vector<float> c = random_floats(m * stride, ++seed);
        const std::vector<float> before = c;
        MatrixRef left{a.data(), m, k, k, 1};
        if (transposed) left = MatrixRef{a.data(), k, m, m, 1}.transposed();
        multiply_add(left, {b.data(), k, n, n, 1}, -1.0f, c.data(), stride, /*upper_only=*/false, pool);
        for (std::int64_t i = 0; i < m; ++i) {
          for (std::int64_t j = 0; j < n; ++j) {
            double want = before[i * stride + j];
            for (std::int64_t l = 0; l < k; ++l)
              want -= static_cast<double>(transposed ? a[l * m + i] : a[i * k + l]) * b[l * n + j];
            ASSERT_NEAR(c[i * stride + j], want, 1e-4 * std::sqrt(static_cast<double>(k))) << i << ", " << j;
          }
          for (std::int64_t j = n; j < stride; ++j) ASSERT_EQ(c[i * stride + j], before[i * stride + j]);
        }
      }
}

TEST(MatrixProduct, IsTheSameWithAnyNumberOfThreads) {
  const std::vector<float> x = random_floats(300 * 130, 7);
  std::vector<float> one(130 * 130), four(130 * 130);
  base::ThreadPool alone(1), pool(4);
  accumulate_gram({x.data(), 300, 130, 130, 1}, one.data(), alone);
  accumulate_gram({x.data(), 300, 130, 130, 1}, four.data(), pool);
  mirror_upper(one.data(), 130);
  mirror_upper(four.data(), 130);
  EXPECT_EQ(one, four);
  for (std::int64_t i = 0; i < 130; ++i)
    for (std::int64_t j = 0; j < 130; ++j) {
      double want = 0;
      for (std::int64_t t = 0; t < 300; ++t) want += static_cast<double>(x[t * 130 + i]) * x[t * 130 + j];
      ASSERT_NEAR(one[i * 130 + j], want, 2e-3);
    }
}

TEST(MatrixProduct, FactorOfTheInverse) {
  base::ThreadPool pool(2);
  for (const std::int64_t n : {1, 2, 7, 64, 65, 200}) {
    SCOPED_TRACE(n);
    const std::vector<float> x = random_floats(2 * n * n, static_cast<unsigned>(n));
    std::vector<float> h(n * n);
    accumulate_gram({x.data(), 2 * n, n, n, 1}, h.data(), pool);
    for (std::int64_t i = 0; i < n; ++i) h[i * n + i] += 1.0f;
    mirror_upper(h.data(), n);
    std::vector<float> u = h;
    ASSERT_TRUE(inverse_cholesky(u.data(), n, pool));
    // (U^T U) H = 1
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < i; ++j) ASSERT_EQ(u[i * n + j], 0.0f);
    std::vector<double> uh(n * n);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = i; k < n; ++k)
        for (std::int64_t j = 0; j < n; ++j)
          uh[i * n + j] += static_cast<double>(u[i * n + k]) * h[k * n + j];
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k <= i; ++k) sum += static_cast<double>(u[k * n + i]) * uh[k * n + j];
        ASSERT_NEAR(sum, i == j ? 1 : 0, 2e-3) << i << ", " << j;
      }
  }
}

TEST(MatrixProduct, SaysWhereThereIsNoFactor) {
  base::ThreadPool pool(1);
  std::vector<float> h = {1, 2, 2, 1};
  EXPECT_FALSE(inverse_cholesky(h.data(), 2, pool));
  h = {1, 1, 1, 1};
  EXPECT_FALSE(inverse_cholesky(h.data(), 2, pool));
  h = {NAN, 0, 0, 1};
  EXPECT_FALSE(inverse_cholesky(h.data(), 2, pool));
}

}  // namespace
}  // namespace pagoda::quantize

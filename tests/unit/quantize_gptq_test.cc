// GPTQ and the grids of groups against double-precision oracles that follow the papers word by word.

#include "quantize/gptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "quantize/awq.h"
#include "quantize/matrix_product.h"
#include "tensor/dtype.h"

namespace pagoda::quantize {
namespace {

struct Problem {
  std::int64_t out, in;
  std::vector<float> w, x, gram;  // x [tokens, in]
};

// Inputs that hang together, as those of a layer do, and of different sizes.
Problem make_problem(std::int64_t out, std::int64_t in, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Problem p{out, in, std::vector<float>(out * in), {}, std::vector<float>(in * in)};
  for (float& w : p.w) w = normal(random);
  const std::int64_t tokens = 4 * in;
  std::vector<float> mix(in * in), sizes(in);
  for (float& m : mix) m = normal(random) / std::sqrt(static_cast<float>(in));
  for (float& s : sizes) s = std::exp(normal(random));
  p.x.resize(tokens * in);
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::vector<float> z(in);
    for (float& v : z) v = normal(random);
    for (std::int64_t i = 0; i < in; ++i) {
      float sum = 0.3f * z[i];
      for (std::int64_t j = 0; j < in; ++j) sum += mix[i * in + j] * z[j];
      p.x[t * in + i] = sum * sizes[i];
    }
  }
  base::ThreadPool one(1);
  accumulate_gram({p.x.data(), tokens, in, in, 1}, p.gram.data(), one);
  return p;
}

double output_error(const Problem& p, const QuantizedMatrix& q) {
  double error = 0, whole = 0;
  std::vector<float> row(p.in);
  for (std::int64_t o = 0; o < p.out; ++o) {
    q.dequantize_row(o, row.data());
    for (std::size_t t = 0; t * p.in < p.x.size(); ++t) {
      double difference = 0, output = 0;
      for (std::int64_t i = 0; i < p.in; ++i) {
        difference += static_cast<double>(p.x[t * p.in + i]) * (p.w[o * p.in + i] - row[i]);
        output += static_cast<double>(p.x[t * p.in + i]) * p.w[o * p.in + i];
      }
      error += difference * difference;
      whole += output * output;
    }
  }
  return std::sqrt(error / whole);
}

using Doubles = std::vector<double>;

Doubles inverse(Doubles a, std::int64_t n) {  // Gauss-Jordan; a is positive definite
  Doubles b(n * n);
  for (std::int64_t i = 0; i < n; ++i) b[i * n + i] = 1;
  for (std::int64_t c = 0; c < n; ++c) {
    const double pivot = a[c * n + c];
    for (std::int64_t j = 0; j < n; ++j) a[c * n + j] /= pivot, b[c * n + j] /= pivot;
    for (std::int64_t r = 0; r < n; ++r) {
      if (r == c) continue;
      const double factor = a[r * n + c];
      for (std::int64_t j = 0; j < n; ++j)
        a[r * n + j] -= factor * a[c * n + j], b[r * n + j] -= factor * b[c * n + j];
    }
  }
  return b;
}

// Optimal Brain Quantization in a given order, as GPTQ speeds it up: after input i, the others that are left
// move by
// -(error / [H^-1]_ii) [H^-1]_i., with the inverse of H over what is left, computed anew each time. Grids are
// taken from `like`. Returns values [out, in].
std::vector<int> oracle(const Problem& p, const QuantizedMatrix& like, const std::vector<std::int32_t>& order,
                        double damping) {
  const std::int64_t n = p.in;
  double mean = 0;
  for (std::int64_t i = 0; i < n; ++i) mean += p.gram[i * n + i] / static_cast<double>(n);
  std::vector<int> values(p.out * n);
  std::vector<Doubles> inverses;
  for (std::int64_t step = 0; step < n; ++step) {
    const std::int64_t left = n - step;
    Doubles h(left * left);
    for (std::int64_t a = 0; a < left; ++a)
      for (std::int64_t b = 0; b < left; ++b) {
        const std::int64_t i = order[step + a], j = order[step + b];
        h[a * left + b] = p.gram[std::min(i, j) * n + std::max(i, j)] + (i == j ? damping * mean : 0);
      }
    inverses.push_back(inverse(std::move(h), left));
  }
  for (std::int64_t o = 0; o < p.out; ++o) {
    Doubles w(p.w.begin() + o * n, p.w.begin() + (o + 1) * n);
    for (std::int64_t step = 0; step < n; ++step) {
      const std::int64_t i = order[step], left = n - step;
      const std::int64_t at = o * like.groups() + like.group_of(i);
      const double scale = like.scales[at];
      const int value = std::clamp(static_cast<int>(std::nearbyint(w[i] / scale)) + like.zeros[at], 0,
                                   (1 << like.scheme.bits) - 1);
      values[o * n + i] = value;
      const double error = w[i] - (value - like.zeros[at]) * scale;
      const Doubles& inv = inverses[step];
      for (std::int64_t a = 0; a < left; ++a) w[order[step + a]] -= error / inv[0] * inv[a];
    }
  }
  return values;
}

std::vector<std::int32_t> order_of(const Problem& p, bool act_order) {
  std::vector<std::int32_t> order(p.in);
  std::iota(order.begin(), order.end(), 0);
  if (act_order)
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return p.gram[a * p.in + a] > p.gram[b * p.in + b];
    });
  return order;
}

TEST(Gptq, FollowsThePaper) {
  base::ThreadPool threads(2);
  const Problem p = make_problem(6, 144, 1);
  for (const std::int64_t group_size : {32, 64, 128, 0})
    for (const bool act_order : {false, true})
      for (const bool static_groups : {false, true})
        for (const bool symmetric : {true, false}) {
          SCOPED_TRACE(fmt::format("g{} {} {} {}", group_size, act_order, static_groups, symmetric));
          const Scheme scheme{4, group_size, symmetric};
          const QuantizedMatrix q = gptq(
              p.w, p.out, p.in, p.gram, scheme,
              {.damping = 0.01, .act_order = act_order, .static_groups = static_groups, .refine_rounds = 0},
              threads);
          EXPECT_EQ(q.group_of_input.empty(), static_groups || !act_order || group_size == 0);
          const std::vector<int> want = oracle(p, q, order_of(p, act_order), 0.01);
          // A quotient may lie so near to a half that float and double round it differently, and then the
          // rest of its row differs.
          int different = 0;
          for (std::size_t i = 0; i < want.size(); ++i) different += q.values[i] != want[i] ? 1 : 0;
          EXPECT_LE(different, static_cast<int>(want.size()) / 50);
        }
}

// What makes the outputs of the calibration texts best; the default holds weights nearer to where they were.
constexpr GptqOptions kLittleDamping{.damping = 0.01};

TEST(Gptq, LosesFarLessOfTheOutputsThanRounding) {
  base::ThreadPool threads(2);
  const Problem p = make_problem(24, 256, 2);
  const Scheme scheme{4, 128, true};
  const double rounded = output_error(p, round_to_nearest(p.w, p.out, p.in, scheme, threads));
  const QuantizedMatrix q = gptq(p.w, p.out, p.in, p.gram, scheme, kLittleDamping, threads);
  EXPECT_LT(output_error(p, q), 0.6 * rounded);
  EXPECT_NEAR(error_of(p.w, q, p.gram, threads).outputs(), output_error(p, q), 1e-3 * output_error(p, q));
  // Eight bits and more groups are better still.
  EXPECT_LT(output_error(p, gptq(p.w, p.out, p.in, p.gram, {4, 32, true}, kLittleDamping, threads)),
            output_error(p, q));
  EXPECT_LT(output_error(p, gptq(p.w, p.out, p.in, p.gram, {8, 128, true}, kLittleDamping, threads)),
            0.1 * output_error(p, q));
}

// Until no single integer could be another and the error be less, and never to the worse.
TEST(Gptq, RefinesUntilNoIntegerIsWrong) {
  base::ThreadPool threads(2);
  const Problem p = make_problem(8, 96, 7);
  for (const Scheme& scheme : {Scheme{4, 32, true}, Scheme{4, 32, false}, Scheme{8, 0, true, true}}) {
    SCOPED_TRACE(fmt::format("{} bits, symmetric {}, fp8 {}", scheme.bits, scheme.symmetric, scheme.fp8));
    constexpr double kDamping = 1e-4;
    const auto made = [&](int rounds) {
      return gptq(p.w, p.out, p.in, p.gram, scheme, {.damping = kDamping, .refine_rounds = rounds}, threads);
    };
    const double before = output_error(p, made(0)), after = output_error(p, made(8));
    EXPECT_LT(after, 0.97 * before);
    const QuantizedMatrix q = made(8);
    double trace = 0;
    for (std::int64_t i = 0; i < p.in; ++i) trace += p.gram[i * p.in + i];
    int wrong = 0;
    for (std::int64_t o = 0; o < p.out; ++o) {
      std::vector<float> row(p.in);
      q.dequantize_row(o, row.data());
      for (std::int64_t i = 0; i < p.in; ++i) {
        double slope = 0, own = kDamping * trace / static_cast<double>(p.in);
        for (std::int64_t j = 0; j < p.in; ++j)
          slope += (row[j] - p.w[o * p.in + j]) *
                   (p.gram[std::min(i, j) * p.in + std::max(i, j)] + (i == j ? own : 0.0));
        own += p.gram[i * p.in + i];
        const std::int64_t at = o * q.groups() + q.group_of(i);
        const Grid grid{q.scales[at], q.zeros[at]};
        const auto best = static_cast<float>(row[i] - slope / own);
        wrong += nearest_value(best, grid, scheme) != q.values[o * p.in + i] ? 1 : 0;
      }
    }
    // The sweeps end after a few; a quotient near a half goes either way.
    EXPECT_LE(wrong, static_cast<int>(p.w.size()) / 100);
  }
}

TEST(Gptq, FitsFloatsOfEightBits) {
  base::ThreadPool threads(2);
  const Problem p = make_problem(16, 256, 8);
  const Scheme scheme{8, 0, true, true};
  const double rounded = output_error(p, round_to_nearest(p.w, p.out, p.in, scheme, threads));
  EXPECT_LT(rounded, 0.04);
  EXPECT_LT(output_error(p, gptq(p.w, p.out, p.in, p.gram, scheme, kLittleDamping, threads)), 0.7 * rounded);
}

TEST(Gptq, IsTheSameWithAnyNumberOfThreads) {
  const Problem p = make_problem(20, 192, 3);
  base::ThreadPool one(1), four(4);
  const QuantizedMatrix a = gptq(p.w, p.out, p.in, p.gram, {4, 64, false}, {}, one);
  const QuantizedMatrix b = gptq(p.w, p.out, p.in, p.gram, {4, 64, false}, {}, four);
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.zeros, b.zeros);
}

TEST(Gptq, RoundsInputsThatNoTextHas) {
  base::ThreadPool threads(1);
  Problem p = make_problem(4, 64, 4);
  for (std::int64_t i = 0; i < 64; ++i)
    p.gram[std::min<std::int64_t>(i, 9) * 64 + std::max<std::int64_t>(i, 9)] = 0;
  const QuantizedMatrix q = gptq(p.w, p.out, p.in, p.gram, {4, 32, true}, {}, threads);
  for (std::int64_t o = 0; o < 4; ++o) {
    const std::int64_t at = o * q.groups();
    EXPECT_EQ(q.values[o * 64 + 9], nearest_value(p.w[o * 64 + 9], {q.scales[at], q.zeros[at]}, q.scheme));
  }
  // And all of them, if there is nothing to go by.
  std::fill(p.gram.begin(), p.gram.end(), 0.0f);
  EXPECT_EQ(gptq(p.w, p.out, p.in, p.gram, {4, 32, true}, {}, threads).values.size(), p.w.size());
}

TEST(Gptq, ManagesMoreInputsThanTexts) {
  base::ThreadPool threads(1);
  Problem p = make_problem(4, 64, 5);
  std::fill(p.gram.begin(), p.gram.end(), 0.0f);
  accumulate_gram({p.x.data(), 3, 64, 64, 1}, p.gram.data(), threads);  // rank 3
  p.x.resize(3 * 64);
  const QuantizedMatrix q = gptq(p.w, p.out, p.in, p.gram, {4, 32, true}, {}, threads);
  EXPECT_LT(output_error(p, q), 0.5 * output_error(p, round_to_nearest(p.w, 4, 64, {4, 32, true}, threads)));
}

TEST(Grids, ScalesAreHalvesAndZerosCanBeStored) {
  std::mt19937 random(6);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> w(1 + random() % 64);
    const float offset = static_cast<float>(random() % 5) - 2.0f;
    const float size = std::pow(10.0f, static_cast<float>(random() % 12) - 8.0f);
    for (float& v : w) v = size * (static_cast<float>(random() % 2000) / 1000.0f - 1.0f + offset);
    for (const int bits : {4, 8})
      for (const bool symmetric : {true, false}) {
        const auto count = static_cast<std::int64_t>(w.size());
        const Scheme scheme{bits, 0, symmetric};
        for (const Grid& grid :
             {grid_of_range(w.data(), count, scheme), best_grid(w.data(), nullptr, count, scheme)}) {
          EXPECT_GT(grid.scale, 0);
          EXPECT_EQ(tensor::half_to_float(tensor::float_to_half(grid.scale)), grid.scale);
          EXPECT_GE(grid.zero, 1);
          EXPECT_LT(grid.zero, 1 << bits);
          if (symmetric) {
            EXPECT_EQ(grid.zero, 1 << (bits - 1));
          }
        }
      }
  }
}

TEST(Grids, TheBestIsNotWorseThanTheWholeRange) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  const auto error = [](const std::vector<float>& w, const Grid& grid, const std::vector<float>& gram) {
    const std::size_t n = w.size();
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        sum += static_cast<double>(gram[i * n + j]) * (w[i] - on_grid(w[i], grid, {})) *
               (w[j] - on_grid(w[j], grid, {}));
    return sum;
  };
  for (int round = 0; round < 50; ++round) {
    std::vector<float> w(32), importance(32), diagonal(32 * 32), full(32 * 32), x(40 * 32);
    for (float& v : w) v = normal(random);
    for (float& v : x) v = normal(random);
    w[round % 32] *= 4;  // one that stands out
    base::ThreadPool one(1);
    accumulate_gram({x.data(), 40, 32, 32, 1}, full.data(), one);
    mirror_upper(full.data(), 32);
    for (int i = 0; i < 32; ++i) diagonal[i * 32 + i] = importance[i] = full[i * 32 + i];
    const Scheme scheme{4, 32, true};
    const Grid range = grid_of_range(w.data(), 32, scheme);
    EXPECT_LE(error(w, best_grid(w.data(), importance.data(), 32, scheme), diagonal),
              error(w, range, diagonal));
    EXPECT_LE(error(w, best_grid_for_outputs(w.data(), full.data(), 32, scheme), full),
              error(w, range, full) * 1.0001);
  }
}

TEST(Awq, ScalesAndClippingLoseLess) {
  base::ThreadPool threads(2);
  Problem p = make_problem(48, 128, 8);
  // A few inputs carry far more than the others: what AWQ is made for.
  for (const std::int64_t loud : {3, 50, 77})
    for (std::int64_t i = 0; i < 128; ++i)
      for (std::int64_t j = i; j < 128; ++j)
        if (i == loud || j == loud) p.gram[i * 128 + j] *= i == j ? 900.0f : 30.0f;
  const Scheme scheme{4, 64, false};
  const std::vector<float> scales = awq_scales(p.w, p.out, p.in, p.gram, {}, scheme, threads);
  EXPECT_GT(scales[3], 1.5f * scales[4]);
  const auto scaled_error = [&](bool clip) {
    std::vector<float> w = p.w, gram = p.gram;
    for (std::int64_t i = 0; i < 128; ++i) {
      for (std::int64_t o = 0; o < 48; ++o) w[o * 128 + i] *= scales[i];
      for (std::int64_t j = 0; j < 128; ++j) gram[i * 128 + j] /= scales[i] * scales[j];
    }
    const QuantizedMatrix q = clip ? round_clipped(w, 48, 128, gram, scheme, threads)
                                   : round_to_nearest(w, 48, 128, scheme, threads);
    return error_of(w, q, gram, threads).outputs();
  };
  const double plain =
      error_of(p.w, round_to_nearest(p.w, 48, 128, scheme, threads), p.gram, threads).outputs();
  EXPECT_LT(scaled_error(false), 0.7 * plain);
  EXPECT_LT(scaled_error(true), scaled_error(false));
}

TEST(Awq, TiedInputsShareTheirScale) {
  base::ThreadPool threads(1);
  const Problem p = make_problem(16, 64, 9);
  std::vector<std::int32_t> tie(64);
  for (int i = 0; i < 64; ++i) tie[i] = i % 32;
  const std::vector<float> scales = awq_scales(p.w, 16, 64, p.gram, tie, {4, 32, false}, threads);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(scales[i], scales[i + 32]);
  for (const float scale : scales) EXPECT_GT(scale, 0);
}

}  // namespace
}  // namespace pagoda::quantize

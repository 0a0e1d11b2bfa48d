#include "quantize/awq.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/gptq.h"
#include "quantize/matrix_product.h"

namespace pagoda::quantize {
namespace {

constexpr int kAlphas = 20;
// Rows that the search looks at. The scales are shared by all rows, and a thousand tell them as well as all.
constexpr std::int64_t kSearchRows = 1024;
constexpr float kSmallest = 1e-4f;

// Mean over the rows of |w| / max|w of its group|, per input.
std::vector<float> mean_share(const std::vector<float>& w, std::int64_t rows, std::int64_t in,
                              const Scheme& scheme) {
  std::vector<double> sum(in);
  const std::int64_t width = scheme.width(in);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t first = 0; first < in; first += width) {
      const float* group = w.data() + r * in + first;
      const std::int64_t count = std::min(width, in - first);
      float largest = 0;
      for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(group[i]));
      if (largest == 0) continue;
      for (std::int64_t i = 0; i < count; ++i) sum[first + i] += std::fabs(group[i]) / largest;
    }
  std::vector<float> mean(in);
  for (std::int64_t i = 0; i < in; ++i) mean[i] = static_cast<float>(sum[i] / static_cast<double>(rows));
  return mean;
}

// Inputs with one scale have it from the root mean square of all of them.
void tie_together(std::span<const std::int32_t> tie, std::vector<float>* values) {
  if (tie.empty()) return;
  std::vector<double> squares(values->size());
  std::vector<int> counts(values->size());
  for (std::size_t i = 0; i < tie.size(); ++i) {
    squares[tie[i]] += static_cast<double>((*values)[i]) * (*values)[i];
    ++counts[tie[i]];
  }
  for (std::size_t i = 0; i < tie.size(); ++i)
    (*values)[i] = static_cast<float>(std::sqrt(squares[tie[i]] / counts[tie[i]]));
}

void center(std::vector<float>* scales) {
  float least = std::numeric_limits<float>::max(), largest = 0;
  for (float& scale : *scales) {
    scale = std::max(scale, kSmallest);
    least = std::min(least, scale);
    largest = std::max(largest, scale);
  }
  const float middle = std::sqrt(least) * std::sqrt(largest);
  for (float& scale : *scales) scale = std::clamp(scale / middle, kSmallest, 1 / kSmallest);
}

class ScaleSearch {
 public:
  ScaleSearch(std::vector<float> w, std::int64_t in, std::span<const float> gram, const Scheme& scheme,
              base::ThreadPool& threads)
      : w_(std::move(w)),
        rows_(static_cast<std::int64_t>(w_.size()) / in),
        in_(in),
        gram_(gram.begin(), gram.end()),
        scheme_(scheme),
        threads_(threads) {
    mirror_upper(gram_.data(), in);
  }

  std::int64_t rows() const { return rows_; }
  const std::vector<float>& w() const { return w_; }

  // |X (W - Q(W s) / s)^T|^2
  double loss(const std::vector<float>& scales) {
    std::vector<float> error(w_.size()), product(w_.size());
    threads_.run(rows_, 8, [&](std::size_t begin, std::size_t end, int) {
      std::vector<float> scaled(in_);
      for (std::size_t r = begin; r < end; ++r) {
        const float* row = w_.data() + r * in_;
        for (std::int64_t i = 0; i < in_; ++i) scaled[i] = row[i] * scales[i];
        const std::int64_t width = scheme_.width(in_);
        for (std::int64_t first = 0; first < in_; first += width) {
          const std::int64_t count = std::min(width, in_ - first);
          const Grid grid = grid_of_range(scaled.data() + first, count, scheme_);
          for (std::int64_t i = first; i < first + count; ++i)
            error[r * in_ + i] = row[i] - on_grid(scaled[i], grid, scheme_) / scales[i];
        }
      }
    });
    multiply_add({error.data(), rows_, in_, in_, 1}, {gram_.data(), in_, in_, in_, 1}, 1.0f, product.data(),
                 in_,
                 /*upper_only=*/false, threads_);
    double sum = 0;
    for (std::size_t i = 0; i < error.size(); ++i) sum += static_cast<double>(error[i]) * product[i];
    return sum;
  }

 private:
  std::vector<float> w_;
  std::int64_t rows_, in_;
  std::vector<float> gram_;
  const Scheme& scheme_;
  base::ThreadPool& threads_;
};

}  // namespace

std::vector<float> awq_scales(std::span<const float> w, std::int64_t out, std::int64_t in,
                              std::span<const float> gram, std::span<const std::int32_t> tie,
                              const Scheme& scheme, base::ThreadPool& threads) {
  const std::int64_t rows = std::min(out, kSearchRows);
  std::vector<float> some(rows * in);
  for (std::int64_t r = 0; r < rows; ++r)
    std::copy_n(w.data() + r * out / rows * in, in, some.data() + r * in);
  ScaleSearch search(std::move(some), in, gram, scheme, threads);
  std::vector<float> x(in), share = mean_share(search.w(), rows, in, scheme);
  for (std::int64_t i = 0; i < in; ++i) x[i] = std::sqrt(std::max(gram[i * in + i], 0.0f));
  tie_together(tie, &x);
  tie_together(tie, &share);
  const float largest = *std::max_element(x.begin(), x.end());
  std::vector<float> best(in, 1.0f);
  if (largest == 0) return best;
  double least = search.loss(best);
  for (const bool with_weights : {false, true})
    for (int step = 0; step <= kAlphas; ++step) {
      const float alpha = static_cast<float>(step) / kAlphas;
      if (!with_weights && step == 0) continue;  // all 1
      std::vector<float> scales(in);
      for (std::int64_t i = 0; i < in; ++i) {
        scales[i] = std::pow(std::max(x[i] / largest, kSmallest), alpha);
        if (with_weights) scales[i] /= std::pow(std::max(share[i], kSmallest), 1 - alpha);
      }
      center(&scales);
      const double loss = search.loss(scales);
      if (loss < least) {
        least = loss;
        best = scales;
      }
    }
  return best;
}

QuantizedMatrix round_clipped(std::span<const float> w, std::int64_t out, std::int64_t in,
                              std::span<const float> gram, const Scheme& scheme, base::ThreadPool& threads) {
  QuantizedMatrix matrix = round_to_nearest(w, out, in, scheme, threads);
  const std::int64_t width = scheme.width(in);
  std::vector<float> block(width * width);
  for (std::int64_t g = 0; g < matrix.groups(); ++g) {
    const std::int64_t first = g * width, count = std::min(width, in - first);
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t j = 0; j < count; ++j)
        block[i * count + j] = gram[(first + std::min(i, j)) * in + first + std::max(i, j)];
    threads.run(out, 8, [&](std::size_t begin, std::size_t end, int) {
      for (auto row = static_cast<std::int64_t>(begin); row < static_cast<std::int64_t>(end); ++row) {
        const float* from = w.data() + row * in + first;
        const Grid grid = best_grid_for_outputs(from, block.data(), count, scheme);
        matrix.scales[row * matrix.groups() + g] = grid.scale;
        matrix.zeros[row * matrix.groups() + g] = static_cast<std::uint8_t>(grid.zero);
        for (std::int64_t i = 0; i < count; ++i)
          matrix.values[row * in + first + i] =
              static_cast<std::uint8_t>(nearest_value(from[i], grid, scheme));
      }
    });
  }
  return matrix;
}

}  // namespace pagoda::quantize

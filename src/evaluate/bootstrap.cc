#include "evaluate/bootstrap.h"

#include <algorithm>
#include <random>

#include "base/check.h"

namespace pagoda::evaluate {
namespace {

// As numpy's percentile: linear between the nearest values.
double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<double> resampled_bleu_differences(std::span<const LineCounts> base,
                                               std::span<const LineCounts> other,
                                               const BootstrapOptions& options) {
  CHECK(base.size() == other.size() && !base.empty());
  std::mt19937_64 random(options.seed);
  std::vector<double> differences;
  differences.reserve(static_cast<std::size_t>(options.samples));
  for (std::int32_t sample = 0; sample < options.samples; ++sample) {
    BleuCounts base_sum, other_sum;
    for (std::size_t i = 0; i < base.size(); ++i) {
      // The standard's distributions differ between libraries; this does not.
      const auto line = static_cast<std::size_t>((random() >> 32) * base.size() >> 32);
      base_sum += base[line].bleu;
      other_sum += other[line].bleu;
    }
    differences.push_back(other_sum.score() - base_sum.score());
  }
  return differences;
}

Difference make_difference(double value, std::vector<double> samples) {
  CHECK(!samples.empty());
  std::sort(samples.begin(), samples.end());
  return {value, percentile(samples, 0.025), percentile(samples, 0.975)};
}

}  // namespace pagoda::evaluate

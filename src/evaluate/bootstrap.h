#pragma once
// Is the difference of two models more than the luck of the test lines? Paired bootstrap resampling (Koehn
// 2004): the lines are drawn anew, with repeats, a thousand times, both models are scored on each draw, and
// the middle 95 % of the differences are the interval. It works on the counts of lines, so no text is looked
// at again. Pure, the same result everywhere for the same seed.

#include <cstdint>
#include <span>
#include <vector>

#include "evaluate/metrics.h"

namespace pagoda::evaluate {

struct BootstrapOptions {
  std::int32_t samples = 1000;
  std::uint64_t seed = 20041;
};

struct Difference {
  double value = 0;          // on the lines as they are
  double low = 0, high = 0;  // 95 % interval

  // The interval does not hold zero.
  bool significant() const { return low > 0 || high < 0; }
};

// BLEU of `other` minus BLEU of `base` in each draw; both have the same lines in the same order.
std::vector<double> resampled_bleu_differences(std::span<const LineCounts> base,
                                               std::span<const LineCounts> other,
                                               const BootstrapOptions& options);
// `samples` in any order, not empty.
Difference make_difference(double value, std::vector<double> samples);

}  // namespace pagoda::evaluate

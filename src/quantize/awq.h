#pragma once
// AWQ (Lin et al. 2023): inputs that carry much are multiplied up before rounding, so that they lose less,
// and their producer is divided by the same; then the range of each group is cut where that helps the
// outputs.

#include <span>

#include "base/thread_pool.h"
#include "quantize/grid.h"

namespace pagoda::quantize {

// The scale of each input, from a search over powers alpha of its size: s = x^alpha / w^(1-alpha) (x: root
// mean square of the input; w: its mean share of the range of its group; both forms with and without w are
// tried), by the error of the outputs. w [out, in], gram [in, in] = X^T X (upper triangle). `tie` (or empty)
// [in] names for each input the first input that must have the same scale. All scales are positive; 1 where
// nothing is better.
std::vector<float> awq_scales(std::span<const float> w, std::int64_t out, std::int64_t in,
                              std::span<const float> gram, std::span<const std::int32_t> tie,
                              const Scheme& scheme, base::ThreadPool& threads);

// Rounds with each group's range cut as its own part of the gram says.
QuantizedMatrix round_clipped(std::span<const float> w, std::int64_t out, std::int64_t in,
                              std::span<const float> gram, const Scheme& scheme, base::ThreadPool& threads);

}  // namespace pagoda::quantize

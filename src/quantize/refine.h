#pragma once
// What GPTQ leaves to be gained. It decides each integer once, knowing nothing of how those after it will be
// rounded; here integers are decided again with all others known, one by one, and scales are fitted to their
// integers, for as long as the error of the outputs sinks. Coordinate descent as in CDQuant (Nair and
// Suggala 2024) and QuantEase (Behdin et al. 2023).

#include <span>

#include "base/thread_pool.h"
#include "quantize/grid.h"

namespace pagoda::quantize {

// `matrix`: w [out, in] rounded; gram [in, in], upper triangle; `damping` as in GptqOptions. Changes values
// and scales. Groups that are scattered over the inputs keep their scales.
void refine(std::span<const float> w, std::span<const float> gram, double damping, int rounds,
            base::ThreadPool& threads, QuantizedMatrix* matrix);

}  // namespace pagoda::quantize

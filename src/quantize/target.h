#pragma once
// What a product should compute, given that what reaches it is no longer what reached it in the float model:
// weights moved by least squares, to be rounded in the place of the original ones. After GPTAQ (Li et al.
// 2025) and Qronos (Zhang et al. 2025).

#include <span>
#include <vector>

#include "base/thread_pool.h"

namespace pagoda::quantize {

// Sums over tokens t, each times what it counts, of the inputs x of a product in the float model and y in the
// quantised one.
struct InputStatistics {
  std::vector<float> gram;   // [in, in] y y^T, upper triangle
  std::vector<float> shift;  // [in, in] (x - y) y^T; empty: no correction
  // [out, in] (a - b) y^T, with a and b the residual streams that the product's outputs are added to; empty
  // where they are added to none.
  std::vector<float> residual;
};

// w + (w shift + residual) (gram + damping mean(diagonal))^-1.
std::vector<float> corrected_weights(std::span<const float> w, std::int64_t out, std::int64_t in,
                                     const InputStatistics& statistics, double damping,
                                     base::ThreadPool& threads);

}  // namespace pagoda::quantize

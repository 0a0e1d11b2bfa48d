#pragma once
// Weights into panels (cpu/panel.h), and single rows back out of them for the embedding.

#include "base/thread_pool.h"
#include "kernels/weight.h"

namespace pagoda::kernels::cpu {

// k groups a packed weight has: padded to whole AMX tiles with zeros.
std::int64_t packed_groups(WeightFormat format, std::int64_t in_features);
std::int64_t packed_panels(std::int64_t out_features);

Weight pack_panels(const WeightSource& source, base::ThreadPool& threads);
// Row `row` of W as floats: one lane of a panel.
void unpack_row(const Weight& weight, std::int64_t row, float* out);

}  // namespace pagoda::kernels::cpu

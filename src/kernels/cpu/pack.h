#pragma once
// Weights into panels (cpu/panel.h, cpu/grouped.h), and single rows back out of them for the embedding. What
// each format keeps, every value as its source gives it:
//   kBF16                 panels of pairs
//   kInt8, kInt4          panels of grouped.h; scales [panels][scale_groups()][16]; offsets: zeros
//                         [panels][groups][16] bytes, where the source has them; input_order int32 [in]
//   kFp8                  quads of e4m3 bytes (cpu/fp8.h); scales [out]

#include "base/thread_pool.h"
#include "kernels/weight.h"

namespace pagoda::kernels::cpu {

// k groups of one panel that is not grouped: pairs for kBF16, quads for kFp8, padded to whole AMX tiles with
// zeros.
std::int64_t packed_groups(WeightFormat format, std::int64_t in_features);
std::int64_t packed_panels(std::int64_t out_features);
// Whether a weight has the layout of grouped.h.
bool is_grouped(const Weight& weight);
std::size_t packed_panel_bytes(const Weight& weight);
// Of a grouped one: groups of a row with a scale of their own; 1 where the row has one, although its inputs
// are rounded by groups of grouped_size(0), so that an outlier costs its neighbours alone.
std::int64_t scale_groups(const Weight& weight);
bool has_half_scales(const Weight& weight);  // of a grouped one

Weight pack_panels(const WeightSource& source, base::ThreadPool& threads);
// Row `row` of W as floats: one lane of a panel.
void unpack_row(const Weight& weight, std::int64_t row, float* out);

}  // namespace pagoda::kernels::cpu

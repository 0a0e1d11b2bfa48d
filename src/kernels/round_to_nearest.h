#pragma once
// The plainest way from floats to a quantised row; also what the better ways (quantize/) are measured
// against.

#include <cstdint>

#include "kernels/weight.h"

namespace pagoda::kernels {

// Quantises row [in] to kInt8 or kInt4, each group of `group_size` (0: the whole row) on its own.
// Symmetric: zero is symmetric_zero(format) and the scale is max|w| / 127 (INT8) or 2 max|w| / 15 (INT4, as
// GPTQ has it). Asymmetric: the range of the group, widened to hold 0, over 255 or 15 steps.
// A group of zeros gets scale 1, so that every scale is positive.
void round_to_nearest(const float* row, std::int64_t in, WeightFormat format, std::int64_t group_size,
                      bool symmetric, const QuantizedRow& out);

// `source` (row_f32 filled in) as a source of the integer format that its `format` and `group_size` name.
// Rounds each row when it is asked for.
WeightSource rounded(WeightSource source, bool symmetric);

// Row [in] as e4m3 with the scale max|w| / 448, in which the largest weight is exact; 1 for a row of zeros.
void round_to_fp8(const float* row, std::int64_t in, std::uint8_t* out, float* scale);
// `source` (row_f32 filled in) as a source of format kFp8.
WeightSource rounded_fp8(WeightSource source);

}  // namespace pagoda::kernels

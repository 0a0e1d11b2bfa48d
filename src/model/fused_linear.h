#pragma once
// Matrices that one product computes (q|k|v, gate|up, or one alone), below one another, as a source that the
// kernels pack. Keeps the integers of the files where all parts agree on how they are stored.

#include <string>
#include <vector>

#include "checkpoint/stored_linear.h"
#include "kernels/weight.h"

namespace pagoda::model {

struct FusedLinear {
  kernels::WeightSource source;  // holds the parts; reads from the checkpoint, which must live
  // Why the matrix is not stored as the files have it: "its parts are stored in different ways". Else empty.
  std::string widened;
};

// `parts` have the same in_features. Float parts are stored as `float_format`: kF32, kBF16, or rounded to
// nearest: kInt8 (a scale a row) or kFp8, kInt4 (groups of kRoundedGroup inputs). What files have as integers
// or e4m3 stays so, except where the format of the kernels cannot say it (parts of different layouts or
// orders of inputs, groups that are no multiple of 32 inputs or unequal, zero points outside the range of the
// values): then it becomes BF16, or F32 if that is the `float_format`.
FusedLinear fuse(std::vector<checkpoint::StoredLinear> parts, kernels::WeightFormat float_format);

inline constexpr std::int64_t kRoundedGroup = 128;

}  // namespace pagoda::model

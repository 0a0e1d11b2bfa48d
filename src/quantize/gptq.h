#pragma once
// GPTQ (Frantar et al. 2022): the integers of a matrix input by input, each rounding error spread over the
// inputs that are still to come so that X W^T changes least, X being inputs seen in calibration.

#include <span>

#include "base/thread_pool.h"
#include "quantize/grid.h"

namespace pagoda::quantize {

struct GptqOptions {
  // Added to the diagonal of the Hessian, as a share of its mean: how far weights may go from where they were
  // to make good each other's errors. The usual 0.01 costs a model that was trained for rounding most of what
  // that gained, and an ordinary one gains nothing by it (docs/quantisation.md).
  double damping = 1;
  // Inputs with the largest sum of squares first: their errors can still be made good by the others.
  bool act_order = true;
  // Groups of neighbouring inputs whose grids are chosen beforehand. Otherwise each group's grid is chosen
  // when its turn comes, and with act_order its members are scattered over the inputs (desc_act).
  bool static_groups = true;
  // Rounds of refine() behind it; 0: none.
  int refine_rounds = 3;
};

// w [out, in]; gram [in, in] = X^T X, upper triangle. A group size is 0 or divides kGptqBlock or is a
// multiple of it.
QuantizedMatrix gptq(std::span<const float> w, std::int64_t out, std::int64_t in, std::span<const float> gram,
                     const Scheme& scheme, const GptqOptions& options, base::ThreadPool& threads);

inline constexpr std::int64_t kGptqBlock = 128;

// Each group by itself, over its range.
QuantizedMatrix round_to_nearest(std::span<const float> w, std::int64_t out, std::int64_t in,
                                 const Scheme& scheme, base::ThreadPool& threads);

struct MatrixError {
  double squared_weights = 0, squared_weight_errors = 0;  // |W|^2, |W - Q|^2
  double squared_outputs = 0, squared_output_errors = 0;  // |X W^T|^2, |X (W - Q)^T|^2; 0 without a gram
  double weights() const;                                 // roots of the quotients
  double outputs() const;
  void add(const MatrixError& other);
};
// gram as above, or empty.
MatrixError error_of(std::span<const float> w, const QuantizedMatrix& quantized, std::span<const float> gram,
                     base::ThreadPool& threads);

}  // namespace pagoda::quantize

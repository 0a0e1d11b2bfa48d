#pragma once
// Packed weights of a dense model: from a checkpoint, or random in a given shape (benchmarks, tests).

#include <functional>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "kernels/ops.h"
#include "model/hunyuan_dense.h"

namespace pagoda::model {

DenseShape shape_of(const checkpoint::Config& config);

// Reads and packs every tensor; what was read is released from the page cache's share of our memory at once.
// Matrices in floats are stored as `float_format`: kF32, kBF16, or rounded to nearest while they are packed:
// kInt8, kFp8, kInt4 (fused_linear.h; embedding and head are INT8 then). Quantised ones stay as they are.
// `progress` (may be empty) is called with the share done, on the calling thread.
base::Result<DenseWeights> load_dense(const checkpoint::Checkpoint& checkpoint, kernels::Ops& ops,
                                      kernels::WeightFormat float_format,
                                      const std::function<void(double)>& progress);
struct WeightFormats {
  kernels::WeightFormat linear, embedding;
  std::int64_t group_size = 0;  // of the linear layers, as in kernels::WeightSource
};
WeightFormats weight_formats(const checkpoint::Config& config, kernels::WeightFormat float_format);

// Bytes the packed weights will take, before anything is loaded. The sum of the parts rounded as the backend
// pads them may be a little more; the plan adds what load reports.
std::size_t estimate_weight_bytes(const DenseShape& shape, WeightFormats formats);

// Values of the scale of trained ones; the same for the same shape and formats.
DenseWeights random_dense(const DenseShape& shape, WeightFormats formats, kernels::Ops& ops);
// "bf16", "int8", "int4" (groups of 128), "fp8"; `head` is the format of embedding and head, "" for the usual
// one: INT8 beside integers, else BF16.
base::Result<WeightFormats> named_formats(const std::string& linear, const std::string& head);
// "1.8b" and "7b": the shapes of HY-MT1.5.
base::Result<DenseShape> named_shape(const std::string& name);

}  // namespace pagoda::model

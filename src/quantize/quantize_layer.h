#pragma once
// One layer: its floats, and what becomes of them.

#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "quantize/gptq.h"
#include "quantize/layer_pass.h"
#include "quantize/packed_layouts.h"

namespace pagoda::quantize {

// kFp8: GPTQ with e4m3 in place of integers and a scale a row, whatever the scheme says.
enum class Method { kRoundToNearest, kGptq, kAwq, kFp8 };

struct Options {
  Method method = Method::kGptq;
  Scheme scheme;
  GptqOptions gptq;
  bool int8_tables = false;  // embedding and head: INT8 per row, which Pagoda alone reads; else as they are
  int threads = 0;           // 0: one a core
};

struct FloatLayer {
  std::vector<float> input_norm, mlp_norm;          // [hidden]
  std::vector<float> q_norm, k_norm;                // [head_dim]; empty without QK norm
  std::vector<float> qkv, o, gate_up, down;         // [out, in]
  tensor::DType norm_dtype = tensor::DType::kBF16;  // as the file has the norms
};
// Layer `index` of a checkpoint in any format that is read.
base::Result<FloatLayer> read_layer(const checkpoint::Checkpoint& checkpoint, std::int64_t index);

struct LayerReport {
  MatrixError qkv, o, gate_up, down;
};

// Quantises `layer` on the texts of `pass`, which leaves with the layer's outputs as its next inputs; the
// tensors are those of the layer in a file. `pass` is null for the methods that need no texts.
std::vector<StoredTensor> quantize_layer(FloatLayer layer, std::int64_t index, const model::DenseShape& shape,
                                         const Options& options, kernels::Ops& ops, LayerPass* pass,
                                         base::ThreadPool& threads, LayerReport* report);
// Takes `pass` through a layer as it is.
void run_layer(const FloatLayer& layer, const model::DenseShape& shape, kernels::Ops& ops, LayerPass& pass);

}  // namespace pagoda::quantize

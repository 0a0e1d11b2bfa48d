#pragma once
// The scales of AWQ, folded into a layer so that it computes what it did: a matrix's inputs are multiplied,
// and the norm or the rows that produce them divided.

#include "quantize/quantize_layer.h"

namespace pagoda::quantize {

// The grams of a layer's four products, upper triangles.
struct LayerGrams {
  std::vector<float> qkv, o, gate_up, down;
};

// Finds the scales of all four products for `scheme` and folds them. Norms stay exact in layer.norm_dtype.
void fold_awq_scales(const LayerGrams& grams, const model::DenseShape& shape, const Scheme& scheme,
                     base::ThreadPool& threads, FloatLayer* layer);

}  // namespace pagoda::quantize

#include "quantize/fold_scales.h"

#include "quantize/awq.h"

namespace pagoda::quantize {
namespace {

float rounded_to(float value, tensor::DType dtype) {
  if (dtype == tensor::DType::kBF16) return tensor::to_float(tensor::to_bfloat16(value));
  if (dtype == tensor::DType::kF16) return tensor::half_to_float(tensor::float_to_half(value));
  return value;
}

void multiply_columns(std::vector<float>& w, const std::vector<float>& scales) {
  const std::size_t in = scales.size();
  for (std::size_t at = 0; at < w.size(); at += in)
    for (std::size_t i = 0; i < in; ++i) w[at + i] *= scales[i];
}

void divide_rows(float* w, std::size_t in, const std::vector<float>& scales) {
  for (std::size_t r = 0; r < scales.size(); ++r)
    for (std::size_t i = 0; i < in; ++i) w[r * in + i] /= scales[r];
}

// norm / scales rounded to what its file can hold; the columns take up exactly what the norm gave.
void fold_into_norm(std::vector<float> scales, tensor::DType dtype, std::vector<float>& norm,
                    std::vector<float>& w) {
  for (std::size_t i = 0; i < norm.size(); ++i) {
    const float divided = rounded_to(norm[i] / scales[i], dtype);
    scales[i] = divided != 0 ? norm[i] / divided : 1.0f;
    if (divided != 0) norm[i] = divided;
  }
  multiply_columns(w, scales);
}

}  // namespace

void fold_awq_scales(const LayerGrams& grams, const model::DenseShape& shape, const Scheme& scheme,
                     base::ThreadPool& threads, FloatLayer* layer) {
  const std::int64_t hidden = shape.hidden_size, q_size = shape.q_size(), kv_size = shape.kv_size();
  const std::int64_t inner = shape.intermediate_size;
  // Scales are searched on what the files have, before any is folded: dividing the rows of a producer changes
  // its own quantisation by nothing, as each row has scales of its own.
  const std::vector<float> qkv =
      awq_scales(layer->qkv, q_size + 2 * kv_size, hidden, grams.qkv, {}, scheme, threads);
  const std::vector<float> gate_up =
      awq_scales(layer->gate_up, 2 * inner, hidden, grams.gate_up, {}, scheme, threads);
  const std::vector<float> down = awq_scales(layer->down, hidden, inner, grams.down, {}, scheme, threads);
  // The query heads of one group attend to the same values: their columns of o share the scales of these.
  const std::int64_t heads_each = shape.num_heads / shape.num_kv_heads, d = shape.head_dim;
  std::vector<std::int32_t> tie(q_size);
  for (std::int64_t i = 0; i < q_size; ++i)
    tie[i] = static_cast<std::int32_t>(i / d / heads_each * heads_each * d + i % d);
  const std::vector<float> o = awq_scales(layer->o, hidden, q_size, grams.o, tie, scheme, threads);

  fold_into_norm(qkv, layer->norm_dtype, layer->input_norm, layer->qkv);
  fold_into_norm(gate_up, layer->norm_dtype, layer->mlp_norm, layer->gate_up);
  multiply_columns(layer->o, o);
  std::vector<float> values(kv_size);
  for (std::int64_t i = 0; i < kv_size; ++i) values[i] = o[i / d * heads_each * d + i % d];
  divide_rows(layer->qkv.data() + (q_size + kv_size) * hidden, hidden, values);
  multiply_columns(layer->down, down);
  divide_rows(layer->gate_up.data() + inner * hidden, hidden, down);
}

}  // namespace pagoda::quantize

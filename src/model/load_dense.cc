#include "model/load_dense.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "model/fused_linear.h"
#include "tensor/dtype.h"

namespace pagoda::model {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Tensor;
using kernels::Weight;
using kernels::WeightFormat;
using kernels::WeightSource;
using tensor::DType;

WeightFormat table_format(WeightFormat float_format) {
  if (float_format == WeightFormat::kFp8) return WeightFormat::kBF16;
  return float_format == WeightFormat::kInt4 ? WeightFormat::kInt8 : float_format;
}

std::string describe(const Weight& weight) {
  std::string text(weight_format_name(weight.format));
  if (weight.group_size != 0) text += fmt::format(" g{}", weight.group_size);
  return text;
}

// "int4 g128, embedding int8".
std::string describe(const DenseWeights& weights, const std::string& widened) {
  std::string text = describe(weights.layers.front().down);
  const std::string embedding = describe(weights.embedding);
  if (embedding != text) text += ", embedding " + embedding;
  if (!widened.empty()) text += ", " + widened;
  return text;
}

const std::vector<DType> kFloats = {DType::kBF16, DType::kF16, DType::kF32};

class Loader {
 public:
  Loader(const Checkpoint& checkpoint, kernels::Ops& ops, WeightFormat float_format,
         const std::function<void(double)>& progress)
      : checkpoint_(checkpoint), ops_(ops), float_format_(float_format), progress_(progress) {}

  // The named matrices below one another, each [rows, columns].
  base::Result<Weight> matrix(const std::vector<std::pair<std::string, std::int64_t>>& parts,
                              std::int64_t columns) {
    return matrix(parts, columns, float_format_);
  }
  // Embedding and head, which lose too much in INT4, and are not rounded beside FP8.
  base::Result<Weight> table(const std::string& name, std::int64_t rows, std::int64_t columns) {
    return matrix({{name, rows}}, columns, table_format(float_format_));
  }

  base::Result<tensor::Buffer> vector(const std::string& name, std::int64_t size) {
    ASSIGN_OR_RETURN(Tensor found, checkpoint_.find(name, {size}, kFloats));
    tensor::Buffer buffer(tensor::MemoryTag::kWeights, size * sizeof(float));
    Checkpoint::copy_row(found, 0, buffer.as<float>());
    return ops_.place(std::move(buffer));
  }

  void report(double share) const {
    if (progress_) progress_(share);
  }
  std::string widened() const {
    if (widened_ == 0) return "";
    return fmt::format(
        "{} {} as {} ({}: {})", widened_, widened_ == 1 ? "matrix" : "matrices",
        weight_format_name(float_format_ == WeightFormat::kF32 ? float_format_ : WeightFormat::kBF16),
        widened_name_, widened_why_);
  }

 private:
  base::Result<Weight> matrix(const std::vector<std::pair<std::string, std::int64_t>>& parts,
                              std::int64_t columns, WeightFormat float_format) {
    std::vector<checkpoint::StoredLinear> found;
    for (const auto& [name, rows] : parts) {
      ASSIGN_OR_RETURN(checkpoint::StoredLinear part, find_linear(checkpoint_, name, rows, columns));
      found.push_back(std::move(part));
    }
    FusedLinear fused = fuse(found, float_format);
    if (!fused.widened.empty() && widened_++ == 0) {
      widened_name_ = parts.front().first;
      widened_why_ = fused.widened;
    }
    fused.source.pairs = parts.size() == 2;  // gate and up
    Weight weight = ops_.pack(fused.source);
    for (const checkpoint::StoredLinear& part : found) part.release();
    return weight;
  }

  const Checkpoint& checkpoint_;
  kernels::Ops& ops_;
  const WeightFormat float_format_;
  const std::function<void(double)>& progress_;
  int widened_ = 0;  // matrices that could not stay as they were stored; the first and its reason
  std::string widened_name_, widened_why_;
};

base::Result<DenseLayer> load_layer(Loader& loader, const DenseShape& shape, std::int64_t index) {
  const std::string prefix = fmt::format("model.layers.{}.", index);
  const auto name = [&prefix](const char* rest) { return prefix + rest; };
  DenseLayer layer;
  ASSIGN_OR_RETURN(layer.input_norm, loader.vector(name("input_layernorm.weight"), shape.hidden_size));
  ASSIGN_OR_RETURN(layer.mlp_norm, loader.vector(name("post_attention_layernorm.weight"), shape.hidden_size));
  if (shape.use_qk_norm) {
    ASSIGN_OR_RETURN(layer.q_norm, loader.vector(name("self_attn.query_layernorm.weight"), shape.head_dim));
    ASSIGN_OR_RETURN(layer.k_norm, loader.vector(name("self_attn.key_layernorm.weight"), shape.head_dim));
  }
  ASSIGN_OR_RETURN(layer.qkv, loader.matrix({{name("self_attn.q_proj"), shape.q_size()},
                                             {name("self_attn.k_proj"), shape.kv_size()},
                                             {name("self_attn.v_proj"), shape.kv_size()}},
                                            shape.hidden_size));
  ASSIGN_OR_RETURN(layer.o, loader.matrix({{name("self_attn.o_proj"), shape.hidden_size}}, shape.q_size()));
  ASSIGN_OR_RETURN(layer.gate_up, loader.matrix({{name("mlp.gate_proj"), shape.intermediate_size},
                                                 {name("mlp.up_proj"), shape.intermediate_size}},
                                                shape.hidden_size));
  ASSIGN_OR_RETURN(layer.down,
                   loader.matrix({{name("mlp.down_proj"), shape.hidden_size}}, shape.intermediate_size));
  return layer;
}

}  // namespace

DenseShape shape_of(const checkpoint::Config& config) {
  DenseShape shape;
  shape.vocab_size = config.vocab_size;
  shape.hidden_size = config.hidden_size;
  shape.intermediate_size = config.intermediate_size;
  shape.num_layers = config.num_layers;
  shape.num_heads = config.num_heads;
  shape.num_kv_heads = config.num_kv_heads;
  shape.head_dim = config.head_dim;
  shape.rms_norm_eps = static_cast<float>(config.rms_norm_eps);
  shape.use_qk_norm = config.use_qk_norm;
  shape.tied_embeddings = config.tie_word_embeddings;
  shape.rope_base = config.rope_base();
  return shape;
}

WeightFormats weight_formats(const checkpoint::Config& config, WeightFormat float_format) {
  const checkpoint::Quantization& quantization = config.quantization;
  const WeightFormat widened = float_format == WeightFormat::kF32 ? float_format : WeightFormat::kBF16;
  WeightFormats formats{.linear = float_format, .embedding = table_format(float_format)};
  if (quantization.embedding) formats.embedding = WeightFormat::kInt8;
  switch (quantization.method) {
    case checkpoint::QuantMethod::kNone:
      if (float_format == WeightFormat::kInt4) formats.group_size = kRoundedGroup;
      return formats;
    case checkpoint::QuantMethod::kInt8PerChannel:
      formats.linear = WeightFormat::kInt8;
      return formats;
    case checkpoint::QuantMethod::kFp8:
      formats.linear = WeightFormat::kFp8;
      return formats;
    case checkpoint::QuantMethod::kGptq:
    case checkpoint::QuantMethod::kAwq:
    case checkpoint::QuantMethod::kPackedIntegers:
      break;
  }
  formats.group_size = quantization.group_size;
  formats.linear = quantization.bits == 4 ? WeightFormat::kInt4 : WeightFormat::kInt8;
  if (quantization.group_size % 32 != 0) formats.linear = widened;
  return formats;
}

base::Result<DenseWeights> load_dense(const Checkpoint& checkpoint, kernels::Ops& ops,
                                      WeightFormat float_format,
                                      const std::function<void(double)>& progress) {
  const checkpoint::Config& config = checkpoint.config();
  Loader loader(checkpoint, ops, float_format, progress);
  DenseWeights weights;
  weights.shape = shape_of(config);
  const DenseShape& shape = weights.shape;
  ASSIGN_OR_RETURN(weights.final_norm, loader.vector("model.norm.weight", shape.hidden_size));
  ASSIGN_OR_RETURN(weights.embedding,
                   loader.table("model.embed_tokens", shape.vocab_size, shape.hidden_size));
  if (!shape.tied_embeddings) {
    ASSIGN_OR_RETURN(weights.lm_head, loader.table("lm_head", shape.vocab_size, shape.hidden_size));
  }
  for (std::int64_t i = 0; i < shape.num_layers; ++i) {
    ASSIGN_OR_RETURN(DenseLayer layer, load_layer(loader, shape, i));
    weights.layers.push_back(std::move(layer));
    loader.report(static_cast<double>(i + 1) / static_cast<double>(shape.num_layers));
  }
  weights.formats = describe(weights, loader.widened());
  return weights;
}

std::size_t estimate_weight_bytes(const DenseShape& shape, WeightFormats formats) {
  const auto matrix = [](std::int64_t out, std::int64_t in, WeightFormat format, std::int64_t group_size) {
    const std::int64_t groups = group_size == 0 ? 1 : (in + group_size - 1) / group_size;
    const std::int64_t scales = out * groups * static_cast<std::int64_t>(sizeof(float));
    switch (format) {
      case WeightFormat::kF32:
        return static_cast<std::size_t>(out * in * 4);
      case WeightFormat::kBF16:
        return static_cast<std::size_t>(out * in * 2);
      case WeightFormat::kInt8:
        return static_cast<std::size_t>(out * in + 2 * scales);
      case WeightFormat::kInt4:
        return static_cast<std::size_t>(out * in / 2 + scales);
      case WeightFormat::kFp8:
        return static_cast<std::size_t>(out * in + scales);
    }
    return std::size_t{0};
  };
  const auto linear = [&](std::int64_t out, std::int64_t in) {
    return matrix(out, in, formats.linear, formats.group_size);
  };
  const std::size_t layer = linear(shape.q_size() + 2 * shape.kv_size(), shape.hidden_size) +
                            linear(shape.hidden_size, shape.q_size()) +
                            linear(2 * shape.intermediate_size, shape.hidden_size) +
                            linear(shape.hidden_size, shape.intermediate_size) +
                            (2 * shape.hidden_size + 2 * shape.head_dim) * sizeof(float);
  const std::size_t tables = shape.tied_embeddings ? 1 : 2;
  return shape.num_layers * layer +
         tables * matrix(shape.vocab_size, shape.hidden_size, formats.embedding, 0) +
         shape.hidden_size * sizeof(float);
}

}  // namespace pagoda::model

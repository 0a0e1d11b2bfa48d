#include "model/load_dense.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/dtype.h"

namespace pagoda::model {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Tensor;
using kernels::Weight;
using kernels::WeightFormat;
using kernels::WeightSource;
using tensor::DType;

const std::vector<DType> kFloats = {DType::kBF16, DType::kF16, DType::kF32};

class Loader {
 public:
  Loader(const Checkpoint& checkpoint, kernels::Ops& ops, const std::function<void(double)>& progress)
      : checkpoint_(checkpoint), ops_(ops), progress_(progress) {}

  // The named matrices below one another, each [rows, columns].
  base::Result<Weight> matrix(const std::vector<std::pair<std::string, std::int64_t>>& parts,
                              std::int64_t columns, WeightFormat format) {
    WeightSource source;
    source.in_features = columns;
    source.format = format;
    source.pairs = parts.size() == 2;  // gate and up
    std::vector<Part> found;
    for (const auto& [name, rows] : parts) {
      Part part;
      part.first_row = source.out_features;
      const bool int8 = format == WeightFormat::kInt8;
      ASSIGN_OR_RETURN(part.weight, checkpoint_.find(name + ".weight", {rows, columns},
                                                     int8 ? std::vector<DType>{DType::kI8} : kFloats));
      if (int8) {
        ASSIGN_OR_RETURN(part.scale, checkpoint_.find(name + ".weight_scale", {rows}, {DType::kF32}));
      }
      source.out_features += rows;
      found.push_back(std::move(part));
    }
    const auto part_of = [&found](std::int64_t row) -> const Part& {
      auto part = found.rbegin();
      while (row < part->first_row) ++part;
      return *part;
    };
    source.row_f32 = [&](std::int64_t row, float* out) {
      const Part& part = part_of(row);
      Checkpoint::copy_row(part.weight, row - part.first_row, out);
    };
    source.row_quantized = [&](std::int64_t row, const kernels::QuantizedRow& out) {
      const Part& part = part_of(row);
      const std::int64_t local = row - part.first_row;
      std::memcpy(out.values, part.weight.bytes().data() + local * columns, columns);
      std::memcpy(out.scales, part.scale.bytes().data() + local * sizeof(float), sizeof(float));
    };
    Weight weight = ops_.pack(source);
    for (const Part& part : found) part.weight.file->release(part.weight.info);
    return weight;
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

 private:
  struct Part {
    std::int64_t first_row = 0;
    Tensor weight, scale;
  };

  const Checkpoint& checkpoint_;
  kernels::Ops& ops_;
  const std::function<void(double)>& progress_;
};

base::Result<DenseLayer> load_layer(Loader& loader, const DenseShape& shape, std::int64_t index,
                                    WeightFormat format) {
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
                                            shape.hidden_size, format));
  ASSIGN_OR_RETURN(layer.o,
                   loader.matrix({{name("self_attn.o_proj"), shape.hidden_size}}, shape.q_size(), format));
  ASSIGN_OR_RETURN(layer.gate_up, loader.matrix({{name("mlp.gate_proj"), shape.intermediate_size},
                                                 {name("mlp.up_proj"), shape.intermediate_size}},
                                                shape.hidden_size, format));
  ASSIGN_OR_RETURN(layer.down, loader.matrix({{name("mlp.down_proj"), shape.hidden_size}},
                                             shape.intermediate_size, format));
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
  const bool int8 = config.quantization.method == checkpoint::QuantMethod::kInt8PerChannel;
  return {.linear = int8 ? WeightFormat::kInt8 : float_format,
          .embedding = int8 && config.quantization.embedding ? WeightFormat::kInt8 : float_format};
}

base::Result<DenseWeights> load_dense(const Checkpoint& checkpoint, kernels::Ops& ops,
                                      WeightFormat float_format,
                                      const std::function<void(double)>& progress) {
  const checkpoint::Config& config = checkpoint.config();
  const WeightFormats formats = weight_formats(config, float_format);
  Loader loader(checkpoint, ops, progress);
  DenseWeights weights;
  weights.shape = shape_of(config);
  const DenseShape& shape = weights.shape;
  ASSIGN_OR_RETURN(weights.final_norm, loader.vector("model.norm.weight", shape.hidden_size));
  ASSIGN_OR_RETURN(weights.embedding, loader.matrix({{"model.embed_tokens", shape.vocab_size}},
                                                    shape.hidden_size, formats.embedding));
  if (!shape.tied_embeddings) {
    ASSIGN_OR_RETURN(weights.lm_head,
                     loader.matrix({{"lm_head", shape.vocab_size}}, shape.hidden_size, formats.embedding));
  }
  for (std::int64_t i = 0; i < shape.num_layers; ++i) {
    ASSIGN_OR_RETURN(DenseLayer layer, load_layer(loader, shape, i, formats.linear));
    weights.layers.push_back(std::move(layer));
    loader.report(static_cast<double>(i + 1) / static_cast<double>(shape.num_layers));
  }
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

namespace {

// A cheap generator with the spread of a uniform variable on [-sqrt(3), sqrt(3)] * deviation.
WeightSource random_source(std::int64_t out, std::int64_t in, WeightFormat format, std::int64_t group_size,
                           std::uint64_t seed) {
  const auto next = [](std::uint64_t& state) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int32_t>(state >> 32);
  };
  WeightSource source;
  source.out_features = out;
  source.in_features = in;
  source.format = format;
  source.group_size = group_size;
  const float scale = std::sqrt(3.0f / static_cast<float>(in)) / 2147483648.0f;
  source.row_f32 = [=](std::int64_t row, float* values) {
    std::uint64_t state = (seed << 32) ^ (static_cast<std::uint64_t>(row) * 0x9e3779b97f4a7c15u);
    for (std::int64_t i = 0; i < in; ++i) values[i] = static_cast<float>(next(state)) * scale;
  };
  source.row_quantized = [=, groups = source.groups()](std::int64_t row,
                                                       const kernels::QuantizedRow& quantized) {
    std::uint64_t state = (seed << 32) ^ (static_cast<std::uint64_t>(row) * 0x9e3779b97f4a7c15u);
    const bool int4 = format == WeightFormat::kInt4;
    const std::int32_t step = int4 ? 306783379 : 16909321;  // 2^31 / 7, 2^31 / 127
    for (std::int64_t i = 0; i < in; ++i)
      quantized.values[i] = static_cast<std::int8_t>(next(state) / step + kernels::symmetric_zero(format));
    // Ten bits of fraction, as the FP16 scales of files.
    const float file_scale =
        std::bit_cast<float>(std::bit_cast<std::uint32_t>(scale * static_cast<float>(step)) & ~0x1fffu);
    std::fill_n(quantized.scales, groups, file_scale);
  };
  source.row_fp8 = [=](std::int64_t row, std::uint8_t* values, float* row_scale) {
    std::uint64_t state = (seed << 32) ^ (static_cast<std::uint64_t>(row) * 0x9e3779b97f4a7c15u);
    for (std::int64_t i = 0; i < in; ++i)
      values[i] = tensor::float_to_float8_e4m3(static_cast<float>(next(state)) * (448.0f / 2147483648.0f));
    *row_scale = scale * (2147483648.0f / 448.0f);
  };
  return source;
}

tensor::Buffer ones(std::int64_t size, kernels::Ops& ops) {
  tensor::Buffer buffer(tensor::MemoryTag::kWeights, size * sizeof(float));
  std::fill_n(buffer.as<float>(), size, 1.0f);
  return ops.place(std::move(buffer));
}

}  // namespace

DenseWeights random_dense(const DenseShape& shape, WeightFormats formats, kernels::Ops& ops) {
  std::uint64_t seed = 1;
  const auto linear = [&](std::int64_t out, std::int64_t in, bool pairs = false) {
    WeightSource source = random_source(out, in, formats.linear, formats.group_size, seed++);
    source.pairs = pairs;
    return ops.pack(source);
  };
  const auto table = [&] {
    return ops.pack(
        random_source(shape.vocab_size, shape.hidden_size, formats.embedding, /*group_size=*/0, seed++));
  };
  DenseWeights weights;
  weights.shape = shape;
  weights.embedding = table();
  weights.final_norm = ones(shape.hidden_size, ops);
  if (!shape.tied_embeddings) weights.lm_head = table();
  for (std::int64_t i = 0; i < shape.num_layers; ++i) {
    DenseLayer layer;
    layer.input_norm = ones(shape.hidden_size, ops);
    layer.mlp_norm = ones(shape.hidden_size, ops);
    if (shape.use_qk_norm) {
      layer.q_norm = ones(shape.head_dim, ops);
      layer.k_norm = ones(shape.head_dim, ops);
    }
    layer.qkv = linear(shape.q_size() + 2 * shape.kv_size(), shape.hidden_size);
    layer.o = linear(shape.hidden_size, shape.q_size());
    layer.gate_up = linear(2 * shape.intermediate_size, shape.hidden_size, /*pairs=*/true);
    layer.down = linear(shape.hidden_size, shape.intermediate_size);
    weights.layers.push_back(std::move(layer));
  }
  return weights;
}

base::Result<DenseShape> named_shape(const std::string& name) {
  DenseShape shape;
  shape.head_dim = 128;
  shape.num_layers = 32;
  shape.rope_base = 11158839.925;
  if (name == "1.8b") {
    shape.vocab_size = 120818;
    shape.hidden_size = 2048;
    shape.intermediate_size = 6144;
    shape.num_heads = 16;
    shape.num_kv_heads = 4;
  } else if (name == "7b") {
    shape.vocab_size = 128167;
    shape.hidden_size = 4096;
    shape.intermediate_size = 14336;
    shape.num_heads = 32;
    shape.num_kv_heads = 8;
  } else {
    return base::invalid("no shape is called \"{}\"; there are 1.8b and 7b", name);
  }
  return shape;
}

base::Result<WeightFormats> named_formats(const std::string& linear, const std::string& head) {
  constexpr WeightFormat kAll[] = {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kInt8,
                                   WeightFormat::kInt4, WeightFormat::kFp8};
  const auto find = [&](const std::string& name) -> base::Result<WeightFormat> {
    for (const WeightFormat format : kAll)
      if (kernels::weight_format_name(format) == name) return format;
    return base::invalid("no weight format is called \"{}\"", name);
  };
  WeightFormats formats{};
  ASSIGN_OR_RETURN(formats.linear, find(linear));
  const bool integers = formats.linear == WeightFormat::kInt8 || formats.linear == WeightFormat::kInt4;
  formats.embedding = integers ? WeightFormat::kInt8 : WeightFormat::kBF16;
  if (!head.empty()) {
    ASSIGN_OR_RETURN(formats.embedding, find(head));
  }
  if (formats.linear == WeightFormat::kInt4) formats.group_size = 128;
  return formats;
}

}  // namespace pagoda::model

// Weights that nobody trained, and the shapes that benchmarks know by name.

#include <algorithm>
#include <bit>
#include <cmath>

#include "model/load_dense.h"
#include "tensor/dtype.h"

namespace pagoda::model {
namespace {

using kernels::WeightFormat;

// A cheap generator with the spread of a uniform variable on [-sqrt(3), sqrt(3)] * deviation.
kernels::WeightSource random_source(std::int64_t out, std::int64_t in, WeightFormat format,
                                    std::int64_t group_size, std::uint64_t seed) {
  const auto next = [](std::uint64_t& state) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int32_t>(state >> 32);
  };
  kernels::WeightSource source;
  source.out_features = out;
  source.in_features = in;
  source.format = format;
  source.group_size = group_size;
  const float scale = std::sqrt(3.0f / static_cast<float>(in)) / 2147483648.0f;
  source.row_f32 = [=](std::int64_t row, float* values) {
    std::uint64_t state = (seed << 32) ^ (static_cast<std::uint64_t>(row) * 0x9e3779b97f4a7c15u);
    for (std::int64_t i = 0; i < in; ++i) values[i] = static_cast<float>(next(state)) * scale;
  };
  source.set_row_quantized([=, groups = source.groups()](std::int64_t row,
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
  });
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
    kernels::WeightSource source = random_source(out, in, formats.linear, formats.group_size, seed++);
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

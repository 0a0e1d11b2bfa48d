#include "checkpoint/checkpoint.h"
#include "checkpoint/stored_linear.h"

namespace pagoda::checkpoint {
namespace {

using tensor::DType;

const std::vector<DType> kFloats = {DType::kBF16, DType::kF16, DType::kF32};

class TensorList {
 public:
  explicit TensorList(const Quantization& quantization) : quantization_(quantization) {}

  void norm(const std::string& name, std::int64_t size) {
    list_.push_back({name + ".weight", {size}, kFloats});
  }

  void int8(const std::string& name, std::int64_t out, std::int64_t in) {
    list_.push_back({name + ".weight", {out, in}, {DType::kI8}});
    list_.push_back({name + ".weight_scale", {out}, {DType::kF32}});
  }

  void plain(const std::string& name, std::int64_t out, std::int64_t in) {
    list_.push_back({name + ".weight", {out, in}, kFloats});
  }

  void linear(const std::string& name, std::int64_t out, std::int64_t in) {
    const std::int64_t size = quantization_.group_size;
    const std::int64_t groups = size == 0 ? 1 : (in + size - 1) / size;
    const std::int64_t per_word = quantization_.bits == 8 ? 4 : 8;
    const auto words = [per_word](std::int64_t values) { return (values + per_word - 1) / per_word; };
    switch (quantization_.method) {
      case QuantMethod::kNone:
        return plain(name, out, in);
      case QuantMethod::kInt8PerChannel:
        return int8(name, out, in);
      case QuantMethod::kGptq:
      case QuantMethod::kAwq:
        if (quantization_.method == QuantMethod::kGptq)
          list_.push_back({name + ".qweight", {words(in), out}, {DType::kI32}});
        else
          list_.push_back({name + ".qweight", {in, words(out)}, {DType::kI32}});
        list_.push_back({name + ".qzeros", {groups, words(out)}, {DType::kI32}});
        list_.push_back({name + ".scales", {groups, out}, kFloats});
        return;
      case QuantMethod::kFp8:
        list_.push_back({name + ".weight", {out, in}, {DType::kF8E4M3}});
        list_.push_back({name + ".weight_scale", {out}, kFloats});
        return;
      case QuantMethod::kPackedIntegers:
        if (!quantization_.packed) return int8(name, out, in);
        list_.push_back({name + ".weight_packed", {out, words(in)}, {DType::kI32}});
        list_.push_back({name + ".weight_scale", {out, groups}, kFloats});
        if (!quantization_.symmetric)
          list_.push_back({name + ".weight_zero_point", {words(out), groups}, {DType::kI32}});
        return;
    }
  }

  std::vector<ExpectedTensor> take() { return std::move(list_); }

 private:
  const Quantization& quantization_;
  std::vector<ExpectedTensor> list_;
};

}  // namespace

std::vector<LinearLayer> linear_layers(const Config& config) {
  std::vector<LinearLayer> layers;
  layers.push_back({"model.embed_tokens", config.vocab_size, config.hidden_size});
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string attention = fmt::format("model.layers.{}.self_attn.", i);
    const std::string mlp = fmt::format("model.layers.{}.mlp.", i);
    layers.push_back({attention + "q_proj", config.q_size(), config.hidden_size});
    layers.push_back({attention + "k_proj", config.kv_size(), config.hidden_size});
    layers.push_back({attention + "v_proj", config.kv_size(), config.hidden_size});
    layers.push_back({attention + "o_proj", config.hidden_size, config.q_size()});
    layers.push_back({mlp + "gate_proj", config.intermediate_size, config.hidden_size});
    layers.push_back({mlp + "up_proj", config.intermediate_size, config.hidden_size});
    layers.push_back({mlp + "down_proj", config.hidden_size, config.intermediate_size});
  }
  // Tied models often carry a copy of the embedding under this name; it is ignored.
  if (!config.tie_word_embeddings) layers.push_back({"lm_head", config.vocab_size, config.hidden_size});
  return layers;
}

std::vector<std::pair<std::string, std::int64_t>> norm_vectors(const Config& config) {
  std::vector<std::pair<std::string, std::int64_t>> norms;
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string prefix = fmt::format("model.layers.{}.", i);
    norms.emplace_back(prefix + "input_layernorm", config.hidden_size);
    if (config.use_qk_norm) {
      norms.emplace_back(prefix + "self_attn.query_layernorm", config.head_dim);
      norms.emplace_back(prefix + "self_attn.key_layernorm", config.head_dim);
    }
    norms.emplace_back(prefix + "post_attention_layernorm", config.hidden_size);
  }
  norms.emplace_back("model.norm", config.hidden_size);
  return norms;
}

std::vector<ExpectedTensor> expected_tensors(const Config& config) {
  const Quantization& quantization = config.quantization;
  TensorList list(quantization);
  for (const LinearLayer& layer : linear_layers(config)) {
    const bool table = layer.name == "model.embed_tokens" || layer.name == "lm_head";
    if (!table)
      list.linear(layer.name, layer.out, layer.in);
    else if (quantization.embedding)
      list.int8(layer.name, layer.out, layer.in);
    else
      list.plain(layer.name, layer.out, layer.in);
  }
  for (const auto& [name, size] : norm_vectors(config)) list.norm(name, size);
  return list.take();
}

base::Status check_tensors(const Checkpoint& checkpoint) {
  const Config& config = checkpoint.config();
  for (const LinearLayer& layer : linear_layers(config))
    RETURN_IF_ERROR(find_linear(checkpoint, layer.name, layer.out, layer.in).status());
  for (const auto& [name, size] : norm_vectors(config))
    RETURN_IF_ERROR(checkpoint.find(name + ".weight", {size}, kFloats).status());
  return {};
}

}  // namespace pagoda::checkpoint

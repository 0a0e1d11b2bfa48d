#include "checkpoint/checkpoint.h"

namespace pagoda::checkpoint {
namespace {

using tensor::DType;

const std::vector<DType> kFloats = {DType::kBF16, DType::kF16, DType::kF32};

class TensorList {
 public:
  void norm(const std::string& name, std::int64_t size) {
    list_.push_back({name + ".weight", {size}, kFloats});
  }

  // [out, in]; an INT8 one has a scale per output channel.
  void matrix(const std::string& name, std::int64_t out, std::int64_t in, bool int8) {
    list_.push_back({name + ".weight", {out, in}, int8 ? std::vector{DType::kI8} : kFloats});
    if (int8) list_.push_back({name + ".weight_scale", {out}, {DType::kF32}});
  }

  std::vector<ExpectedTensor> take() { return std::move(list_); }

 private:
  std::vector<ExpectedTensor> list_;
};

void add_layer(const Config& config, std::int64_t layer, TensorList* list) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const bool int8 = config.quantization.method == QuantMethod::kInt8PerChannel;
  list->norm(prefix + "input_layernorm", config.hidden_size);
  list->matrix(attention + "q_proj", config.q_size(), config.hidden_size, int8);
  list->matrix(attention + "k_proj", config.kv_size(), config.hidden_size, int8);
  list->matrix(attention + "v_proj", config.kv_size(), config.hidden_size, int8);
  list->matrix(attention + "o_proj", config.hidden_size, config.q_size(), int8);
  if (config.use_qk_norm) {
    list->norm(attention + "query_layernorm", config.head_dim);
    list->norm(attention + "key_layernorm", config.head_dim);
  }
  list->norm(prefix + "post_attention_layernorm", config.hidden_size);
  list->matrix(mlp + "gate_proj", config.intermediate_size, config.hidden_size, int8);
  list->matrix(mlp + "up_proj", config.intermediate_size, config.hidden_size, int8);
  list->matrix(mlp + "down_proj", config.hidden_size, config.intermediate_size, int8);
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const Config& config) {
  TensorList list;
  const bool int8 =
      config.quantization.method == QuantMethod::kInt8PerChannel && config.quantization.embedding;
  list.matrix("model.embed_tokens", config.vocab_size, config.hidden_size, int8);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) add_layer(config, layer, &list);
  list.norm("model.norm", config.hidden_size);
  // Tied models often carry a copy of the embedding under this name; it is ignored.
  if (!config.tie_word_embeddings) list.matrix("lm_head", config.vocab_size, config.hidden_size, int8);
  return list.take();
}

base::Status check_tensors(const Checkpoint& checkpoint) {
  for (const ExpectedTensor& expected : expected_tensors(checkpoint.config()))
    RETURN_IF_ERROR(checkpoint.find(expected.name, expected.shape, expected.dtypes).status());
  return {};
}

}  // namespace pagoda::checkpoint

#pragma once
// config.json and generation_config.json of a HunYuanDenseV1 directory, in every spelling that exists in the
// wild (docs/models.md lists them). Pure parsing: no tensor is touched. Thread-compatible values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/dtype.h"

namespace pagoda::checkpoint {

// How the linear layers are stored (stored_linear.h has the layouts). A layer that was left as it was has a
// float X.weight beside any method.
enum class QuantMethod {
  kNone,
  kInt8PerChannel,  // ours: X.weight I8, X.weight_scale F32 [out]
  kGptq,            // qweight, qzeros, scales, g_idx
  kAwq,             // the same names in AWQ's gemm layout
  kFp8,             // X.weight F8_E4M3, X.weight_scale; compressed-tensors or the dialect "fp8"
  kPackedIntegers,  // compressed-tensors: weight_packed, or weight I8 per channel
};

struct Quantization {
  QuantMethod method = QuantMethod::kNone;
  std::int64_t bits = 0;         // kGptq, kAwq, kPackedIntegers: 4 or 8
  std::int64_t group_size = 0;   // the same: inputs that share a scale; 0: the whole row
  bool zeros_minus_one = false;  // kGptq: zero points are stored less one ("gptq"; not "gptq_v2")
  bool symmetric = false;        // kPackedIntegers: no zero points are stored
  bool packed = false;           // kPackedIntegers: weight_packed, not weight
  bool embedding = false;        // the embedding (and tied head) is INT8 per row, as in kInt8PerChannel
};

struct Config {
  std::string architecture;  // "HunYuanDenseV1ForCausalLM"
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;     // query heads
  std::int64_t num_kv_heads = 0;  // divides num_heads
  std::int64_t head_dim = 0;      // head_dim, else attention_head_dim, else hidden_size / num_heads
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000.0;  // as written
  double rope_alpha = 1.0;      // 1 where there is no dynamic scaling
  bool tie_word_embeddings = false;
  bool use_qk_norm = true;
  tensor::DType dtype = tensor::DType::kBF16;  // what the file says; tensors tell their own
  Quantization quantization;

  // From config.json and generation_config.json; only hints, the family decides (text/chat_template.h).
  std::vector<std::int32_t> eos_token_ids;
  std::optional<std::int32_t> bos_token_id;
  std::optional<std::int32_t> pad_token_id;

  // What generation_config.json recommends; absent fields stay empty.
  struct Sampling {
    std::optional<bool> do_sample;
    std::optional<double> temperature, top_p, repetition_penalty;
    std::optional<std::int64_t> top_k;
  } sampling;

  // theta * alpha^(d / (d - 2)): the base in force at all positions (dense models have no length dependence).
  double rope_base() const;
  // q_proj rows = num_heads * head_dim, which may differ from hidden_size.
  std::int64_t q_size() const { return num_heads * head_dim; }
  std::int64_t kv_size() const { return num_kv_heads * head_dim; }
};

// `json` is the text of config.json; `name` is used in messages. Refuses, with one sentence naming the key:
// other architectures, attention or MLP biases, cross-layer attention, rope types other than default /
// dynamic with alpha, sizes that are not positive, too large (> 2^24 or a product that overflows) or do not
// divide.
base::Result<Config> parse_config(const std::string& json, const std::string& name);

// Adds eos ids and sampling hints of generation_config.json.
base::Status parse_generation_config(const std::string& json, const std::string& name, Config* config);

}  // namespace pagoda::checkpoint

#include "checkpoint/config.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <cmath>
#include <limits>

#include "checkpoint/json_fields.h"
#include "checkpoint/quantization_config.h"

namespace pagoda::checkpoint {
namespace {

using boost::json::value;

constexpr std::int64_t kMaxSize = 1 << 24;
// Tensor names are made per layer, so a lie here would cost memory before any file is read.
constexpr std::int64_t kMaxLayers = 1 << 12;
constexpr std::string_view kArchitecture = "HunYuanDenseV1ForCausalLM";

// A required size, or one with a default if *out is positive already.
base::Status read_size(const JsonFields& fields, std::string_view key, std::int64_t* out,
                       std::int64_t limit = kMaxSize) {
  if (*out == 0 && !fields.has(key)) return base::data_loss("{} is missing", fields.label(key));
  RETURN_IF_ERROR(fields.read(key, out));
  if (*out < 1 || *out > limit)
    return base::data_loss("{} is {}, expected 1 to {}", fields.label(key), *out, limit);
  return {};
}

base::Status read_architecture(const JsonFields& fields, Config* config) {
  std::string model_type;
  RETURN_IF_ERROR(fields.read("model_type", &model_type));
  std::string architecture;
  if (const value* list = fields.find("architectures")) {
    if (!list->is_array() || (!list->get_array().empty() && !list->get_array()[0].is_string()))
      return base::data_loss("{} is not a list of names", fields.label("architectures"));
    if (!list->get_array().empty()) architecture = std::string(list->get_array()[0].get_string());
  }
  if (architecture.empty() && model_type == "hunyuan_v1_dense") architecture = kArchitecture;
  if (architecture.empty() && model_type == "hy_v3") architecture = "HYV3ForCausalLM";
  if (architecture == "HYV3ForCausalLM")
    return base::error(base::Code::kUnimplemented, "{} is {}, which is not supported yet",
                       fields.label("architectures"), architecture);
  if (architecture.empty())
    return base::error(base::Code::kUnimplemented,
                       "{} is missing, and model_type is \"{}\" instead of \"{}\"",
                       fields.label("architectures"), model_type, "hunyuan_v1_dense");
  if (architecture != kArchitecture)
    return base::error(base::Code::kUnimplemented, "{} is {}; only {} is supported",
                       fields.label("architectures"), architecture, kArchitecture);
  config->architecture = std::move(architecture);
  return {};
}

base::Status refuse_variants(const JsonFields& fields) {
  for (const std::string_view key : {"use_cla", "attention_bias", "mlp_bias"}) {
    bool set = false;
    RETURN_IF_ERROR(fields.read(key, &set));
    if (set)
      return base::error(base::Code::kUnimplemented, "{} is true, which is not supported", fields.label(key));
  }
  std::string activation = "silu";
  RETURN_IF_ERROR(fields.read("hidden_act", &activation));
  if (activation != "silu")
    return base::error(base::Code::kUnimplemented, "{} is \"{}\"; only \"silu\" is supported",
                       fields.label("hidden_act"), activation);
  return {};
}

// `head_dim`, else `attention_head_dim` (Hy-MT2-7B has only this one), else hidden_size /
// num_attention_heads.
base::Status read_head_dim(const JsonFields& fields, Config* config) {
  std::string_view key = fields.has("head_dim") ? "head_dim" : "attention_head_dim";
  if (!fields.has(key)) {
    if (config->hidden_size % config->num_heads != 0)
      return base::data_loss("{} is {}, not a multiple of num_attention_heads {}, and there is no head_dim",
                             fields.label("hidden_size"), config->hidden_size, config->num_heads);
    config->head_dim = config->hidden_size / config->num_heads;
    key = "hidden_size / num_attention_heads";
  } else {
    RETURN_IF_ERROR(read_size(fields, key, &config->head_dim));
  }
  if (config->head_dim % 2 != 0)  // RoPE turns pairs
    return base::data_loss("{} is {}, expected an even number", fields.label(key), config->head_dim);
  return {};
}

base::Status read_sizes(const JsonFields& fields, Config* config) {
  RETURN_IF_ERROR(read_size(fields, "vocab_size", &config->vocab_size));
  RETURN_IF_ERROR(read_size(fields, "hidden_size", &config->hidden_size));
  RETURN_IF_ERROR(read_size(fields, "intermediate_size", &config->intermediate_size));
  RETURN_IF_ERROR(read_size(fields, "num_hidden_layers", &config->num_layers, kMaxLayers));
  RETURN_IF_ERROR(read_size(fields, "num_attention_heads", &config->num_heads));
  config->num_kv_heads = config->num_heads;  // absent: every head has its own keys
  RETURN_IF_ERROR(read_size(fields, "num_key_value_heads", &config->num_kv_heads));
  RETURN_IF_ERROR(read_size(fields, "max_position_embeddings", &config->max_position_embeddings));
  if (config->num_heads % config->num_kv_heads != 0)
    return base::data_loss("{} is {}, not a multiple of num_key_value_heads {}",
                           fields.label("num_attention_heads"), config->num_heads, config->num_kv_heads);
  RETURN_IF_ERROR(read_head_dim(fields, config));
  if (config->q_size() > kMaxSize)  // with this bound every product of two sizes fits into 48 bits
    return base::data_loss("{} times head_dim is {}, expected at most {}",
                           fields.label("num_attention_heads"), config->q_size(), kMaxSize);
  RETURN_IF_ERROR(fields.read("rms_norm_eps", &config->rms_norm_eps));
  if (config->rms_norm_eps <= 0 || config->rms_norm_eps >= 1)
    return base::data_loss("{} is {}, expected a small positive number", fields.label("rms_norm_eps"),
                           config->rms_norm_eps);
  return {};
}

// Two layouts: {rope_theta, rope_scaling: {type, alpha, ...}} and {rope_parameters: {rope_theta, rope_type,
// alpha}}. The factor, beta_* and mscale* beside alpha have no effect in this architecture.
base::Status read_rope(const JsonFields& fields, Config* config) {
  RETURN_IF_ERROR(fields.read("rope_theta", &config->rope_theta));
  std::optional<JsonFields> rope;
  RETURN_IF_ERROR(fields.read("rope_parameters", &rope));
  if (!rope.has_value()) RETURN_IF_ERROR(fields.read("rope_scaling", &rope));
  if (rope.has_value()) {
    RETURN_IF_ERROR(rope->read("rope_theta", &config->rope_theta));
    std::string type = "default";
    const std::string_view key = rope->has("rope_type") ? "rope_type" : "type";
    RETURN_IF_ERROR(rope->read(key, &type));
    if (type == "dynamic") {
      // Without alpha, "dynamic" means a base that grows with the length: another function.
      if (!rope->has("alpha"))
        return base::error(base::Code::kUnimplemented,
                           "{} is \"dynamic\" without alpha, which is not supported", rope->label(key));
      RETURN_IF_ERROR(rope->read("alpha", &config->rope_alpha));
      if (config->rope_alpha <= 0)
        return base::data_loss("{} is {}, expected a positive number", rope->label("alpha"),
                               config->rope_alpha);
    } else if (type != "default") {
      return base::error(base::Code::kUnimplemented,
                         "{} is \"{}\"; only \"default\" and \"dynamic\" are supported", rope->label(key),
                         type);
    }
  }
  if (config->rope_theta <= 0)
    return base::data_loss("{} is {}, expected a positive number", fields.label("rope_theta"),
                           config->rope_theta);
  if (!std::isfinite(config->rope_base()) || config->rope_base() <= 0)
    return base::data_loss("{} {} with alpha {} and head_dim {} gives no usable base",
                           fields.label("rope_theta"), config->rope_theta, config->rope_alpha,
                           config->head_dim);
  return {};
}

base::Status read_dtype(const JsonFields& fields, Config* config) {
  const std::string_view key = fields.has("dtype") ? "dtype" : "torch_dtype";
  std::string dtype = "bfloat16";
  RETURN_IF_ERROR(fields.read(key, &dtype));
  if (dtype == "bfloat16") {
    config->dtype = tensor::DType::kBF16;
  } else if (dtype == "float16") {
    config->dtype = tensor::DType::kF16;
  } else if (dtype == "float32") {
    config->dtype = tensor::DType::kF32;
  } else {
    return base::error(base::Code::kUnimplemented,
                       "{} is \"{}\"; only bfloat16, float16 and float32 are supported", fields.label(key),
                       dtype);
  }
  return {};
}

// Ids outside the vocabulary are dropped: published files hold -1 for "none", and no such id can occur.
base::Status read_token_ids(const JsonFields& fields, std::string_view key, const Config& config,
                            std::vector<std::int32_t>* out) {
  const value* found = fields.find(key);
  if (found == nullptr) return {};
  const auto add = [&](const value& item) -> base::Status {
    const std::optional<std::int64_t> id = json_integer(item);
    if (!id.has_value()) return base::data_loss("{} is not a token id or a list of them", fields.label(key));
    const bool known = std::find(out->begin(), out->end(), *id) != out->end();
    if (*id >= 0 && *id < config.vocab_size && !known) out->push_back(static_cast<std::int32_t>(*id));
    return {};
  };
  if (!found->is_array()) return add(*found);
  for (const value& item : found->get_array()) RETURN_IF_ERROR(add(item));
  return {};
}

base::Status read_token_id(const JsonFields& fields, std::string_view key, const Config& config,
                           std::optional<std::int32_t>* out) {
  std::vector<std::int32_t> ids;
  RETURN_IF_ERROR(read_token_ids(fields, key, config, &ids));
  if (!ids.empty()) *out = ids.front();
  return {};
}

base::Status read_special_tokens(const JsonFields& fields, Config* config) {
  RETURN_IF_ERROR(read_token_ids(fields, "eos_token_id", *config, &config->eos_token_ids));
  RETURN_IF_ERROR(read_token_id(fields, "bos_token_id", *config, &config->bos_token_id));
  return read_token_id(fields, "pad_token_id", *config, &config->pad_token_id);
}

base::Status check_range(const JsonFields& fields, std::string_view key, const std::optional<double>& number,
                         double low, double high) {
  if (!number.has_value() || (*number >= low && *number <= high)) return {};
  return base::data_loss("{} is {}, expected {} to {}", fields.label(key), *number, low, high);
}

}  // namespace

double Config::rope_base() const {
  // alpha 1 has no effect at all, also where head_dim 2 would make the exponent infinite.
  if (rope_alpha == 1.0) return rope_theta;
  const double d = static_cast<double>(head_dim);
  return rope_theta * std::pow(rope_alpha, d / (d - 2));
}

base::Result<Config> parse_config(const std::string& json, const std::string& name) {
  ASSIGN_OR_RETURN(const value root, parse_json_object(json, name));
  const JsonFields fields(root.get_object(), name);
  Config config;
  RETURN_IF_ERROR(read_architecture(fields, &config));
  RETURN_IF_ERROR(refuse_variants(fields));
  RETURN_IF_ERROR(read_sizes(fields, &config));
  RETURN_IF_ERROR(read_rope(fields, &config));
  RETURN_IF_ERROR(fields.read("tie_word_embeddings", &config.tie_word_embeddings));
  RETURN_IF_ERROR(fields.read("use_qk_norm", &config.use_qk_norm));
  RETURN_IF_ERROR(read_dtype(fields, &config));
  RETURN_IF_ERROR(read_quantization(fields, &config.quantization));
  RETURN_IF_ERROR(read_special_tokens(fields, &config));
  return config;
}

base::Status parse_generation_config(const std::string& json, const std::string& name, Config* config) {
  ASSIGN_OR_RETURN(const value root, parse_json_object(json, name));
  const JsonFields fields(root.get_object(), name);
  // All or nothing: *config keeps its values if the file is wrong.
  Config merged = *config;
  RETURN_IF_ERROR(read_special_tokens(fields, &merged));
  RETURN_IF_ERROR(fields.read("do_sample", &merged.sampling.do_sample));
  RETURN_IF_ERROR(fields.read("temperature", &merged.sampling.temperature));
  RETURN_IF_ERROR(fields.read("top_p", &merged.sampling.top_p));
  RETURN_IF_ERROR(fields.read("top_k", &merged.sampling.top_k));
  RETURN_IF_ERROR(fields.read("repetition_penalty", &merged.sampling.repetition_penalty));
  constexpr double kSmallest = std::numeric_limits<double>::min();
  RETURN_IF_ERROR(check_range(fields, "temperature", merged.sampling.temperature, 0, 100));
  RETURN_IF_ERROR(check_range(fields, "top_p", merged.sampling.top_p, 0, 1));
  RETURN_IF_ERROR(
      check_range(fields, "repetition_penalty", merged.sampling.repetition_penalty, kSmallest, 100));
  *config = std::move(merged);
  return {};
}

}  // namespace pagoda::checkpoint

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "checkpoint/config.h"

namespace pagoda::checkpoint {
namespace {

using base::Code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A whole config with the sizes of HY-MT1.5-1.8B, without the keys that the tests add in their own spelling.
constexpr const char* kSizes =
    R"("vocab_size": 120818, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 32,
       "num_attention_heads": 16, "num_key_value_heads": 4, "max_position_embeddings": 262144,
       "rms_norm_eps": 1e-05)";
constexpr const char* kDense = R"("architectures": ["HunYuanDenseV1ForCausalLM"])";

base::Result<Config> parse(const std::string& json) { return parse_config(json, "config.json"); }
base::Result<Config> parse_with(const std::string& more) {
  return parse(fmt::format("{{{}, {}{}{}}}", kDense, kSizes, more.empty() ? "" : ", ", more));
}
Config accept(const std::string& more) {
  base::Result<Config> config = parse_with(more);
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config.ok() ? *config : Config();
}
void refuse(const std::string& more, Code code, const std::string& message) {
  const base::Result<Config> config = parse_with(more);
  ASSERT_FALSE(config.ok()) << more;
  EXPECT_EQ(config.status().code(), code) << config.status().message();
  EXPECT_THAT(config.status().message(), HasSubstr(message));
  EXPECT_THAT(config.status().message(), HasSubstr("config.json"));
}
// kSizes with another value for one key; an empty one leaves the key out.
std::string sizes_with(const std::string& key, const std::string& value) {
  std::string json = kSizes;
  const std::size_t begin = json.find(fmt::format("\"{}\"", key));
  const std::size_t end = std::min(json.find(',', begin), json.size());
  return json.replace(begin, end - begin,
                      value.empty() ? "\"other\": 0" : fmt::format("\"{}\": {}", key, value));
}
void refuse_size(const std::string& key, const std::string& value, const std::string& message) {
  const std::string json = fmt::format("{{{}, {}}}", sizes_with(key, value), kDense);
  const base::Result<Config> config = parse(json);
  ASSERT_FALSE(config.ok()) << json;
  EXPECT_EQ(config.status().code(), Code::kDataLoss);
  EXPECT_THAT(config.status().message(), HasSubstr(message));
}

TEST(CheckpointConfig, ReadsSizesAndDefaults) {
  const Config config = accept("");
  EXPECT_EQ(config.architecture, "HunYuanDenseV1ForCausalLM");
  EXPECT_EQ(config.vocab_size, 120818);
  EXPECT_EQ(config.hidden_size, 2048);
  EXPECT_EQ(config.intermediate_size, 6144);
  EXPECT_EQ(config.num_layers, 32);
  EXPECT_EQ(config.num_heads, 16);
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.max_position_embeddings, 262144);
  EXPECT_DOUBLE_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_DOUBLE_EQ(config.rope_base(), 10000);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_TRUE(config.use_qk_norm);
  EXPECT_EQ(config.dtype, tensor::DType::kBF16);
  EXPECT_EQ(config.quantization.method, QuantMethod::kNone);
  EXPECT_THAT(config.eos_token_ids, IsEmpty());
  EXPECT_EQ(config.bos_token_id, std::nullopt);
}

TEST(CheckpointConfig, HeadDimHasThreeSources) {
  EXPECT_EQ(accept("").head_dim, 128);  // 2048 / 16
  EXPECT_EQ(accept(R"("attention_head_dim": 64)").head_dim, 64);
  EXPECT_EQ(accept(R"("head_dim": 256, "attention_head_dim": 64)").head_dim, 256);
  const Config config = accept(R"("head_dim": null, "attention_head_dim": 96)");
  EXPECT_EQ(config.head_dim, 96);
  EXPECT_EQ(config.q_size(), 16 * 96);
  EXPECT_EQ(config.kv_size(), 4 * 96);
  refuse(R"("head_dim": 127)", Code::kDataLoss, "config.json: head_dim is 127, expected an even number");
  refuse_size("hidden_size", "2050", "hidden_size is 2050, not a multiple of num_attention_heads 16");
}

TEST(CheckpointConfig, RopeBaseFollowsAlpha) {
  const Config old_layout = accept(
      R"("rope_theta": 10000.0, "rope_scaling": {"alpha": 1000.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0,
         "mscale": 1.0, "mscale_all_dim": 0.0, "type": "dynamic"})");
  EXPECT_NEAR(old_layout.rope_base(), 11158839.925, 0.001);
  const Config new_layout = accept(
      R"("rope_parameters": {"alpha": 100000, "factor": 1.0, "rope_theta": 10000.0, "rope_type": "dynamic"})");
  EXPECT_NEAR(new_layout.rope_base(), 1200508057.75, 0.01);
  EXPECT_EQ(new_layout.rope_theta, 10000);
  EXPECT_EQ(new_layout.rope_alpha, 100000);
}

TEST(CheckpointConfig, RopeSpellings) {
  EXPECT_EQ(accept(R"("rope_theta": 500000, "rope_scaling": null)").rope_base(), 500000);
  EXPECT_EQ(accept(R"("rope_theta": null)").rope_base(), 10000);
  EXPECT_EQ(accept(R"("rope_scaling": {"rope_type": "dynamic", "type": "yarn", "alpha": 50.0})").rope_alpha,
            50);
  EXPECT_EQ(accept(R"("rope_parameters": null, "rope_scaling": {"type": "dynamic", "alpha": 9})").rope_alpha,
            9);
  EXPECT_EQ(accept(R"("rope_theta": 7, "rope_parameters": {"rope_type": "default"})").rope_base(), 7);
  EXPECT_EQ(accept(R"("rope_theta": 7, "rope_parameters": {"rope_theta": 11158840.0})").rope_base(),
            11158840);
  // alpha belongs to "dynamic" alone.
  EXPECT_EQ(accept(R"("rope_parameters": {"rope_type": "default", "alpha": 1000})").rope_alpha, 1);
  EXPECT_EQ(accept(R"("head_dim": 2)").rope_base(), 10000);
}

TEST(CheckpointConfig, RefusesOtherRopeTypes) {
  refuse(R"("rope_scaling": {"type": "yarn", "factor": 4})", Code::kUnimplemented,
         "rope_scaling.type is \"yarn\"");
  refuse(R"("rope_parameters": {"rope_type": "llama3"})", Code::kUnimplemented, "rope_parameters.rope_type");
  refuse(R"("rope_scaling": {"type": "dynamic", "factor": 2})", Code::kUnimplemented, "without alpha");
  refuse(R"("rope_scaling": {"type": "dynamic", "alpha": null})", Code::kUnimplemented, "without alpha");
  refuse(R"("rope_scaling": {"type": "dynamic", "alpha": -1})", Code::kDataLoss, "rope_scaling.alpha is -1");
  refuse(R"("rope_scaling": {"type": "dynamic", "alpha": 1e307})", Code::kDataLoss, "no usable base");
  refuse(R"("rope_scaling": [1])", Code::kDataLoss, "rope_scaling is not an object");
  refuse(R"("rope_theta": 0)", Code::kDataLoss, "rope_theta is 0");
  refuse(R"("rope_theta": "big")", Code::kDataLoss, "rope_theta is not a number");
  refuse(R"("rope_theta": 1e999)", Code::kDataLoss, "config.json");
}

TEST(CheckpointConfig, DtypeHasTwoKeys) {
  EXPECT_EQ(accept(R"("torch_dtype": "float16")").dtype, tensor::DType::kF16);
  EXPECT_EQ(accept(R"("dtype": "float32", "torch_dtype": "float16")").dtype, tensor::DType::kF32);
  EXPECT_EQ(accept(R"("dtype": null, "torch_dtype": "bfloat16")").dtype, tensor::DType::kBF16);
  refuse(R"("dtype": "float8_e4m3fn")", Code::kUnimplemented, "dtype is \"float8_e4m3fn\"");
}

TEST(CheckpointConfig, Flags) {
  const Config config = accept(
      R"("tie_word_embeddings": true, "use_qk_norm": false, "use_cla": false, "attention_bias": false,
         "mlp_bias": null, "hidden_act": "silu", "cla_share_factor": 2, "dense_list": [2048, 0], "class_num": 0)");
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_FALSE(config.use_qk_norm);
  refuse(R"("use_cla": true)", Code::kUnimplemented, "use_cla is true");
  refuse(R"("attention_bias": true)", Code::kUnimplemented, "attention_bias is true");
  refuse(R"("mlp_bias": true)", Code::kUnimplemented, "mlp_bias is true");
  refuse(R"("hidden_act": "gelu")", Code::kUnimplemented, "hidden_act is \"gelu\"");
  refuse(R"("use_qk_norm": 1)", Code::kDataLoss, "use_qk_norm is not true or false");
}

TEST(CheckpointConfig, Architectures) {
  const std::string sizes = kSizes;
  EXPECT_TRUE(parse(R"({"model_type": "hunyuan_v1_dense", )" + sizes + "}").ok());
  EXPECT_TRUE(parse(R"({"architectures": null, "model_type": "hunyuan_v1_dense", )" + sizes + "}").ok());
  const auto message = [&](const std::string& keys) {
    const base::Result<Config> config = parse("{" + keys + ", " + sizes + "}");
    EXPECT_FALSE(config.ok());
    EXPECT_EQ(config.status().code(), Code::kUnimplemented);
    return config.status().message();
  };
  EXPECT_THAT(message(R"("architectures": ["HYV3ForCausalLM"])"),
              HasSubstr("HYV3ForCausalLM, which is not supported yet"));
  EXPECT_THAT(message(R"("model_type": "hy_v3")"), HasSubstr("not supported yet"));
  EXPECT_THAT(message(R"("architectures": ["LlamaForCausalLM"])"), HasSubstr("LlamaForCausalLM"));
  EXPECT_THAT(message(R"("model_type": "llama")"), HasSubstr("\"llama\""));
  EXPECT_EQ(parse(R"({"architectures": "HunYuanDenseV1ForCausalLM"})").status().code(), Code::kDataLoss);
  EXPECT_EQ(parse(R"({"architectures": [7]})").status().code(), Code::kDataLoss);
}

TEST(CheckpointConfig, TokenIds) {
  EXPECT_THAT(accept(R"("eos_token_id": 120020)").eos_token_ids, ElementsAre(120020));
  EXPECT_THAT(accept(R"("eos_token_id": [5, 3, 5])").eos_token_ids, ElementsAre(5, 3));
  EXPECT_THAT(accept(R"("eos_token_id": null)").eos_token_ids, IsEmpty());
  // Ids that cannot occur.
  EXPECT_THAT(accept(R"("eos_token_id": [-1, 120818, 4])").eos_token_ids, ElementsAre(4));
  const Config config = accept(R"("bos_token_id": 120000, "pad_token_id": -1)");
  EXPECT_EQ(config.bos_token_id, 120000);
  EXPECT_EQ(config.pad_token_id, std::nullopt);
  refuse(R"("eos_token_id": "</s>")", Code::kDataLoss, "eos_token_id is not a token id");
  refuse(R"("eos_token_id": [1, [2]])", Code::kDataLoss, "eos_token_id is not a token id");
}

TEST(CheckpointConfig, Quantization) {
  const Config config = accept(
      R"("quantization_config": {"quant_method": "pagoda-int8", "bits": 8, "scheme": "per_channel_symmetric",
         "embedding": true})");
  EXPECT_EQ(config.quantization.method, QuantMethod::kInt8PerChannel);
  EXPECT_TRUE(config.quantization.embedding);
  EXPECT_EQ(accept(R"("quantization_config": null)").quantization.method, QuantMethod::kNone);
  refuse(R"("quantization_config": {})", Code::kDataLoss, "quantization_config.quant_method is missing");
  refuse(R"("quantization_config": {"quant_method": "pagoda-int8", "bits": 4})", Code::kDataLoss,
         "bits is 4");
  refuse(R"("quantization_config": {"quant_method": "pagoda-int8", "bits": 8, "scheme": "x"})",
         Code::kUnimplemented, "scheme is \"x\"");
}

Quantization quantization(const std::string& members) {
  return accept(R"("quantization_config": {)" + members + "}").quantization;
}

TEST(CheckpointConfig, QuantizationOfOthers) {
  Quantization q =
      quantization(R"("quant_method": "gptq", "bits": 4, "group_size": 128, "sym": true, "desc_act": true)");
  EXPECT_EQ(q.method, QuantMethod::kGptq);
  EXPECT_EQ(q.bits, 4);
  EXPECT_EQ(q.group_size, 128);
  EXPECT_TRUE(q.zeros_minus_one);
  EXPECT_FALSE(q.embedding);
  q = quantization(R"("quant_method": "gptq", "bits": 8, "group_size": -1, "checkpoint_format": "gptq_v2")");
  EXPECT_EQ(q.bits, 8);
  EXPECT_EQ(q.group_size, 0);
  EXPECT_FALSE(q.zeros_minus_one);
  // Others have no such key, and it says nothing where they do.
  EXPECT_FALSE(
      quantization(R"("quant_method": "gptq", "bits": 4, "group_size": 64, "embedding": true)").embedding);
  q = quantization(R"("quant_method": "pagoda-gptq", "bits": 4, "group_size": 64, "embedding": true)");
  EXPECT_EQ(q.method, QuantMethod::kGptq);
  EXPECT_TRUE(q.embedding);
  q = quantization(
      R"("quant_method": "awq", "bits": 4, "group_size": 128, "version": "GEMM", "zero_point": true)");
  EXPECT_EQ(q.method, QuantMethod::kAwq);
  q = quantization(R"("quant_method": "awq", "w_bit": 4, "q_group_size": 64)");
  EXPECT_EQ(q.group_size, 64);
  q = quantization(R"("quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"])");
  EXPECT_EQ(q.method, QuantMethod::kFp8);
  const auto compressed = [](const std::string& format, const std::string& weights) {
    return R"("quant_method": "compressed-tensors", "format": ")" + format +
           R"(", "config_groups": {"group_0": {"targets": ["Linear"], "weights": {)" + weights + "}}}";
  };
  q = quantization(compressed("naive-quantized", R"("num_bits": 8, "type": "float", "strategy": "tensor")"));
  EXPECT_EQ(q.method, QuantMethod::kFp8);
  q = quantization(compressed("int-quantized", R"("num_bits": 8, "type": "int", "strategy": "channel")"));
  EXPECT_EQ(q.method, QuantMethod::kPackedIntegers);
  EXPECT_FALSE(q.packed);
  q = quantization(
      compressed("pack-quantized", R"("num_bits": 4, "type": "int", "strategy": "group", "group_size": 64,
                                                   "symmetric": false)"));
  EXPECT_TRUE(q.packed);
  EXPECT_FALSE(q.symmetric);
  EXPECT_EQ(q.group_size, 64);
}

TEST(CheckpointConfig, RefusesQuantizationOfOthers) {
  const auto bad = [](const std::string& members, Code code, const std::string& why) {
    refuse(R"("quantization_config": {)" + members + "}", code, why);
  };
  const std::string gptq = R"("quant_method": "gptq", )", awq = R"("quant_method": "awq", )";
  bad(R"("quant_method": "bitsandbytes")", Code::kUnimplemented, "quant_method is \"bitsandbytes\"");
  bad(R"("quant_method": "gptq")", Code::kDataLoss, "quantization_config.bits is missing");
  bad(gptq + R"("bits": 3)", Code::kUnimplemented, "bits is 3; supported: 4 and 8");
  bad(gptq + R"("bits": "4")", Code::kDataLoss, "bits is not an integer");
  bad(gptq + R"("bits": 4)", Code::kDataLoss, "group_size is missing");
  bad(gptq + R"("bits": 4, "group_size": 0)", Code::kDataLoss, "group_size is 0, expected -1 or 1 to");
  bad(gptq + R"("bits": 4, "group_size": -2)", Code::kDataLoss, "group_size is -2");
  bad(gptq + R"("bits": 4, "group_size": 128, "sym": 1)", Code::kDataLoss, "sym is not true or false");
  bad(gptq + R"("bits": 4, "group_size": 128, "checkpoint_format": "marlin")", Code::kUnimplemented,
      "checkpoint_format is \"marlin\"; supported: gptq and gptq_v2");
  bad(gptq + R"("bits": 4, "group_size": 128, "is_marlin_format": true)", Code::kUnimplemented,
      "is_marlin_format");
  bad(awq + R"("bits": 8, "group_size": 128)", Code::kUnimplemented, "bits is 8; supported: 4");
  bad(awq + R"("bits": 4, "group_size": 128, "version": "gemv")", Code::kUnimplemented,
      "version is \"gemv\"");
  bad(awq + R"("bits": 4, "group_size": 128, "zero_point": false)", Code::kUnimplemented, "zero_point");
  bad(R"("quant_method": "fp8", "weight_block_size": [128, 128])", Code::kUnimplemented,
      "weight_block_size is set");
  bad(R"("quant_method": "fp8", "activation_scheme": "x")", Code::kUnimplemented,
      "activation_scheme is \"x\"");
  const std::string compressed = R"("quant_method": "compressed-tensors", )";
  bad(R"("quant_method": "compressed-tensors")", Code::kDataLoss, "config_groups is missing");
  bad(compressed + R"("format": "marlin-24")", Code::kUnimplemented, "format is \"marlin-24\"");
  bad(compressed + R"("config_groups": {})", Code::kUnimplemented, "config_groups has 0 members");
  bad(compressed + R"("config_groups": {"a": {}})", Code::kDataLoss, "config_groups.a.weights is missing");
  bad(compressed + R"("config_groups": {"a": 7})", Code::kDataLoss, "config_groups.a is not an object");
  const auto weights = [&](const std::string& members) {
    return compressed + R"("format": "naive-quantized", "config_groups": {"a": {"weights": {)" + members +
           "}}}";
  };
  bad(weights(R"("num_bits": 4, "type": "float")"), Code::kUnimplemented, "num_bits is 4 for floats");
  bad(weights(R"("num_bits": 8, "type": "float", "strategy": "block")"), Code::kUnimplemented,
      "strategy is \"block\"");
  bad(weights(R"("num_bits": 4, "type": "int", "strategy": "channel")"), Code::kUnimplemented, "format is");
}

TEST(CheckpointConfig, RefusesBadSizes) {
  for (const std::string key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                                "num_attention_heads", "max_position_embeddings"}) {
    refuse_size(key, "0", key + " is 0, expected 1 to");
    refuse_size(key, "-3", key + " is -3");
    refuse_size(key, "16777217", key + " is 16777217");
    refuse_size(key, "2.5", key + " is not an integer");
    refuse_size(key, "\"7\"", key + " is not an integer");
    refuse_size(key, "9223372036854775808", key + " is not an integer");
    refuse_size(key, "null", key + " is missing");
    refuse_size(key, "", key + " is missing");
  }
  refuse_size("num_key_value_heads", "3",
              "num_attention_heads is 16, not a multiple of num_key_value_heads 3");
  refuse_size("num_key_value_heads", "32", "not a multiple");
  refuse_size("num_hidden_layers", "4097", "num_hidden_layers is 4097");
  refuse_size("rms_norm_eps", "0", "rms_norm_eps is 0");
  refuse(R"("head_dim": 16777216)", Code::kDataLoss, "num_attention_heads times head_dim");
  const base::Result<Config> whole =
      parse(fmt::format("{{{}, {}}}", sizes_with("hidden_size", "4096.0"), kDense));
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->hidden_size, 4096);
}

TEST(CheckpointConfig, RefusesBrokenJson) {
  const std::string deep(100, '[');
  for (const std::string& json :
       {std::string(), std::string("{"), std::string("[]"), std::string("{} x"), std::string("{\"a\": NaN}"),
        std::string("\xff"), "{\"a\": " + deep, std::string((16u << 20) + 1, ' ')}) {
    const base::Result<Config> config = parse(json);
    ASSERT_FALSE(config.ok());
    EXPECT_EQ(config.status().code(), Code::kDataLoss);
    EXPECT_THAT(config.status().message(), HasSubstr("config.json"));
  }
  EXPECT_THAT(parse("{\"a\": }").status().message(), HasSubstr("config.json is not valid JSON near byte 6"));
}

TEST(GenerationConfig, AddsIdsAndSampling) {
  Config config = accept(R"("eos_token_id": 3, "pad_token_id": 0)");
  const base::Status status = parse_generation_config(
      R"({"eos_token_id": [3, 9], "pad_token_id": 4, "do_sample": true, "top_k": 20, "top_p": 0.6,
          "repetition_penalty": 1.05, "temperature": null, "transformers_version": "4.56.0"})",
      "generation_config.json", &config);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(config.eos_token_ids, ElementsAre(3, 9));
  EXPECT_EQ(config.pad_token_id, 4);
  EXPECT_EQ(config.sampling.do_sample, true);
  EXPECT_EQ(config.sampling.top_k, 20);
  EXPECT_EQ(config.sampling.top_p, 0.6);
  EXPECT_EQ(config.sampling.repetition_penalty, 1.05);
  EXPECT_EQ(config.sampling.temperature, std::nullopt);
}

TEST(GenerationConfig, RefusesNonsenseAndChangesNothing) {
  for (const std::string json :
       {R"({"eos_token_id": 7, "top_p": 3})", R"({"temperature": -1})", R"({"top_k": "all"})",
        R"({"repetition_penalty": 0})", R"({"do_sample": 1})", "{"}) {
    Config config = accept(R"("eos_token_id": 3)");
    const base::Status status = parse_generation_config(json, "generation_config.json", &config);
    EXPECT_EQ(status.code(), Code::kDataLoss) << json;
    EXPECT_THAT(status.message(), HasSubstr("generation_config.json"));
    EXPECT_THAT(config.eos_token_ids, ElementsAre(3));
  }
}

}  // namespace
}  // namespace pagoda::checkpoint

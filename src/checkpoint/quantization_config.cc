#include "checkpoint/quantization_config.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <cctype>

namespace pagoda::checkpoint {
namespace {

constexpr std::int64_t kMaxGroupSize = 1 << 24;

base::Status unsupported(const JsonFields& fields, std::string_view key, std::string_view value,
                         std::string_view supported) {
  return base::error(base::Code::kUnimplemented, "{} is \"{}\"; supported: {}", fields.label(key), value,
                     supported);
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// 4 or 8; AutoAWQ once called it w_bit.
base::Status read_bits(const JsonFields& fields, std::string_view key, bool eight_too, Quantization* out) {
  if (!fields.has(key)) return base::data_loss("{} is missing", fields.label(key));
  RETURN_IF_ERROR(fields.read(key, &out->bits));
  if (out->bits == 4 || (out->bits == 8 && eight_too)) return {};
  return base::error(base::Code::kUnimplemented, "{} is {}; supported: {}", fields.label(key), out->bits,
                     eight_too ? "4 and 8" : "4");
}

// -1 is written for "the whole row".
base::Status read_group_size(const JsonFields& fields, std::string_view key, Quantization* out) {
  if (!fields.has(key)) return base::data_loss("{} is missing", fields.label(key));
  RETURN_IF_ERROR(fields.read(key, &out->group_size));
  if (out->group_size == -1)
    out->group_size = 0;
  else if (out->group_size < 1 || out->group_size > kMaxGroupSize)
    return base::data_loss("{} is {}, expected -1 or 1 to {}", fields.label(key), out->group_size,
                           kMaxGroupSize);
  return {};
}

base::Status read_gptq(const JsonFields& fields, Quantization* out) {
  out->method = QuantMethod::kGptq;
  RETURN_IF_ERROR(read_bits(fields, "bits", /*eight_too=*/true, out));
  RETURN_IF_ERROR(read_group_size(fields, "group_size", out));
  bool symmetric = true, act_order = false, marlin = false;  // told by the tensors; only checked
  RETURN_IF_ERROR(fields.read("sym", &symmetric));
  RETURN_IF_ERROR(fields.read("desc_act", &act_order));
  RETURN_IF_ERROR(fields.read("is_marlin_format", &marlin));
  if (marlin) return unsupported(fields, "is_marlin_format", "true", "the formats gptq and gptq_v2");
  std::string format = "gptq";
  RETURN_IF_ERROR(fields.read("checkpoint_format", &format));
  if (format != "gptq" && format != "gptq_v2")
    return unsupported(fields, "checkpoint_format", format, "gptq and gptq_v2");
  out->zeros_minus_one = format == "gptq";
  return {};
}

base::Status read_awq(const JsonFields& fields, Quantization* out) {
  out->method = QuantMethod::kAwq;
  RETURN_IF_ERROR(read_bits(fields, fields.has("bits") ? "bits" : "w_bit", /*eight_too=*/false, out));
  RETURN_IF_ERROR(read_group_size(fields, fields.has("group_size") ? "group_size" : "q_group_size", out));
  std::string version = "gemm";
  RETURN_IF_ERROR(fields.read("version", &version));
  if (lower_case(version) != "gemm") return unsupported(fields, "version", version, "gemm");
  bool zero_point = true;
  RETURN_IF_ERROR(fields.read("zero_point", &zero_point));
  if (!zero_point) return unsupported(fields, "zero_point", "false", "true");
  return {};
}

base::Status read_fp8(const JsonFields& fields, Quantization* out) {
  out->method = QuantMethod::kFp8;
  if (fields.has("weight_block_size"))
    return base::error(
        base::Code::kUnimplemented,
        "{} is set; FP8 with one scale a block is not supported, only a scale a tensor or a row",
        fields.label("weight_block_size"));
  std::string activations = "static";
  RETURN_IF_ERROR(fields.read("activation_scheme", &activations));
  if (activations != "static" && activations != "dynamic")
    return unsupported(fields, "activation_scheme", activations, "static and dynamic");
  return {};
}

base::Status read_int8(const JsonFields& fields, Quantization* out) {
  std::string scheme;
  std::int64_t bits = 0;
  RETURN_IF_ERROR(fields.read("bits", &bits));
  if (bits != 8) return base::data_loss("{} is {}, expected 8", fields.label("bits"), bits);
  RETURN_IF_ERROR(fields.read("scheme", &scheme));
  if (scheme != "per_channel_symmetric")
    return base::error(base::Code::kUnimplemented,
                       "{} is \"{}\"; only \"per_channel_symmetric\" is supported", fields.label("scheme"),
                       scheme);
  out->method = QuantMethod::kInt8PerChannel;
  return {};
}

// The weights of one member of config_groups: {num_bits, type, strategy, group_size, symmetric}.
base::Status read_scheme(const JsonFields& weights, const std::string& format, Quantization* out) {
  std::string type = "int", strategy = "tensor";
  RETURN_IF_ERROR(weights.read("type", &type));
  RETURN_IF_ERROR(weights.read("strategy", &strategy));
  if (type == "float") {
    std::int64_t bits = 8;
    RETURN_IF_ERROR(weights.read("num_bits", &bits));
    if (bits != 8)
      return base::error(base::Code::kUnimplemented, "{} is {} for floats; supported: 8",
                         weights.label("num_bits"), bits);
    if (strategy != "tensor" && strategy != "channel")
      return unsupported(weights, "strategy", strategy, "tensor and channel for FP8");
    out->method = QuantMethod::kFp8;
    return {};
  }
  if (type != "int") return unsupported(weights, "type", type, "int and float");
  out->method = QuantMethod::kPackedIntegers;
  out->packed = format == "pack-quantized";
  out->symmetric = true;
  RETURN_IF_ERROR(read_bits(weights, "num_bits", /*eight_too=*/true, out));
  RETURN_IF_ERROR(weights.read("symmetric", &out->symmetric));
  if (strategy == "group") return read_group_size(weights, "group_size", out);
  if (strategy != "channel")
    return unsupported(weights, "strategy", strategy, "group and channel for integers");
  return {};
}

base::Status read_compressed_tensors(const JsonFields& fields, Quantization* out) {
  std::string format = "naive-quantized";
  RETURN_IF_ERROR(fields.read("format", &format));
  constexpr std::string_view kFormats[] = {"naive-quantized", "float-quantized", "int-quantized",
                                           "pack-quantized"};
  if (std::find(std::begin(kFormats), std::end(kFormats), format) == std::end(kFormats))
    return unsupported(fields, "format", format,
                       "naive-quantized, float-quantized, int-quantized and pack-quantized");
  std::optional<JsonFields> groups;
  RETURN_IF_ERROR(fields.read("config_groups", &groups));
  if (!groups.has_value()) return base::data_loss("{} is missing", fields.label("config_groups"));
  const boost::json::object& members = fields.find("config_groups")->get_object();
  if (members.size() != 1)
    return base::error(base::Code::kUnimplemented, "{} has {} members; supported: one for all layers",
                       fields.label("config_groups"), members.size());
  const std::string name(members.begin()->key().data(), members.begin()->key().size());
  std::optional<JsonFields> group, weights;
  RETURN_IF_ERROR(groups->read(name, &group));
  if (group.has_value()) RETURN_IF_ERROR(group->read("weights", &weights));
  if (!weights.has_value()) return base::data_loss("{} is missing", groups->label(name + ".weights"));
  RETURN_IF_ERROR(read_scheme(*weights, format, out));
  const bool integers = out->method == QuantMethod::kPackedIntegers;
  if (integers && !out->packed && (out->bits != 8 || !out->symmetric || out->group_size != 0))
    return base::error(base::Code::kUnimplemented,
                       "{} is \"{}\" for other weights than symmetric 8-bit integers per channel",
                       fields.label("format"), format);
  return {};
}

}  // namespace

base::Status read_quantization(const JsonFields& root, Quantization* out) {
  std::optional<JsonFields> found;
  RETURN_IF_ERROR(root.read("quantization_config", &found));
  if (!found.has_value()) return {};
  const JsonFields& fields = *found;
  std::string method;
  RETURN_IF_ERROR(fields.read("quant_method", &method));
  if (method.empty()) return base::data_loss("{} is missing", fields.label("quant_method"));
  Quantization read;
  const bool ours = method.starts_with("pagoda-");
  if (method == "pagoda-int8")
    RETURN_IF_ERROR(read_int8(fields, &read));
  else if (method == "gptq" || method == "pagoda-gptq")
    RETURN_IF_ERROR(read_gptq(fields, &read));
  else if (method == "awq" || method == "pagoda-awq")
    RETURN_IF_ERROR(read_awq(fields, &read));
  else if (method == "fp8")
    RETURN_IF_ERROR(read_fp8(fields, &read));
  else if (method == "compressed-tensors")
    RETURN_IF_ERROR(read_compressed_tensors(fields, &read));
  else
    return base::error(base::Code::kUnimplemented,
                       "{} is \"{}\", which is not supported; gptq, awq, fp8, compressed-tensors and "
                       "pagoda-int8 are",
                       fields.label("quant_method"), method);
  if (ours) RETURN_IF_ERROR(fields.read("embedding", &read.embedding));
  *out = read;
  return {};
}

}  // namespace pagoda::checkpoint

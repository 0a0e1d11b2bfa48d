#include "quantize/quantize_model.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "checkpoint/stored_linear.h"
#include "kernels/round_to_nearest.h"
#include "model/load_dense.h"
#include "quantize/finished_layers.h"
#include "quantize/model_directory.h"
#include "quantize/model_writer.h"

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using checkpoint::Checkpoint;
using checkpoint::StoredLinear;
using tensor::DType;

bool needs_texts(Method method) { return method != Method::kRoundToNearest; }

json::object quantization_config(const Options& options) {
  const Scheme& scheme = options.scheme;
  const auto group_size = scheme.group_size == 0 ? std::int64_t{-1} : scheme.group_size;
  if (options.method == Method::kFp8) {
    const json::object weights = {
        {"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}, {"symmetric", true}, {"dynamic", false}};
    const json::object activations = {
        {"num_bits", 8}, {"type", "float"}, {"strategy", "token"}, {"symmetric", true}, {"dynamic", true}};
    return {{"quant_method", "compressed-tensors"},
            {"format", "float-quantized"},
            {"quantization_status", "compressed"},
            {"config_groups",
             {{"group_0",
               {{"targets", {"Linear"}},
                {"weights", weights},
                {"input_activations", activations},
                {"output_activations", nullptr}}}}},
            {"ignore", json::array{"lm_head"}},
            {"kv_cache_scheme", nullptr}};
  }
  const std::string ours = options.int8_tables ? "pagoda-" : "";
  json::object config;
  if (options.method == Method::kAwq) {
    config = {{"quant_method", ours + "awq"}, {"version", "gemm"},  {"bits", scheme.bits},
              {"group_size", group_size},     {"zero_point", true}, {"modules_to_not_convert", nullptr}};
  } else {
    const bool gptq = options.method == Method::kGptq;
    config = {{"quant_method", ours + "gptq"},
              {"checkpoint_format", "gptq"},
              {"bits", scheme.bits},
              {"group_size", group_size},
              {"sym", scheme.symmetric},
              {"desc_act", gptq && options.gptq.act_order && !options.gptq.static_groups},
              {"static_groups", gptq && options.gptq.static_groups},
              {"damp_percent", options.gptq.damping},
              {"true_sequential", gptq},
              {"lm_head", false}};
  }
  if (options.int8_tables) config["embedding"] = true;
  return config;
}

base::Status check(const Checkpoint& source, const Options& options, bool has_texts) {
  const checkpoint::Config& config = source.config();
  if (config.quantization.method != checkpoint::QuantMethod::kNone)
    return base::invalid("{} is quantised already", source.directory());
  const int multiple = options.method == Method::kFp8 ? 1 : 32 / options.scheme.bits;
  for (const checkpoint::LinearLayer& layer : checkpoint::linear_layers(config)) {
    if (layer.name == "model.embed_tokens" || layer.name == "lm_head") continue;
    if (layer.in % multiple != 0 || layer.out % multiple != 0)
      return base::error(base::Code::kUnimplemented,
                         "{} has {} inputs and {} outputs; packed into words both must be "
                         "multiples of {}",
                         layer.name, layer.in, layer.out, multiple);
  }
  if (needs_texts(options.method) && !has_texts) return base::invalid("there are no texts to calibrate with");
  return checkpoint::check_tensors(source);
}

// The embedding's rows of all tokens, as the quantised model will have them.
base::Status embed(const Checkpoint& source, bool int8, LayerPass& pass) {
  const checkpoint::Config& config = source.config();
  ASSIGN_OR_RETURN(const StoredLinear table,
                   find_linear(source, "model.embed_tokens", config.vocab_size, config.hidden_size));
  std::vector<std::int8_t> values(config.hidden_size);
  std::int64_t token = 0;
  for (const CalibrationText& text : pass.texts())
    for (const std::int32_t id : text.tokens) {
      if (id < 0 || id >= config.vocab_size)
        return base::invalid("a calibration text has token {}, the vocabulary {} entries", id,
                             config.vocab_size);
      float* out = pass.hidden(token++);
      table.copy_floats(id, out);
      if (!int8) continue;
      float scale = 0;
      std::int8_t zero = 0;
      kernels::round_to_nearest(out, config.hidden_size, kernels::WeightFormat::kInt8, /*group_size=*/0,
                                /*symmetric=*/true, {values.data(), &scale, &zero});
      for (std::int64_t i = 0; i < config.hidden_size; ++i) out[i] = static_cast<float>(values[i]) * scale;
    }
  return {};
}

const std::vector<DType> kFloats = {DType::kBF16, DType::kF16, DType::kF32};

base::Status add_table(const Checkpoint& source, const std::string& name, bool int8, ModelWriter& writer) {
  const checkpoint::Config& config = source.config();
  ASSIGN_OR_RETURN(const checkpoint::Tensor tensor,
                   source.find(name + ".weight", {config.vocab_size, config.hidden_size}, kFloats));
  if (!int8) {
    writer.add(tensor);
    return {};
  }
  ASSIGN_OR_RETURN(auto stored, round_int8(tensor, nullptr));
  writer.add(std::move(stored));
  return {};
}

base::Status write_model(const Checkpoint& source, const std::string& out, const Options& options,
                         const FinishedLayers& finished, ModelReport& report) {
  const checkpoint::Config& config = source.config();
  ModelWriter writer;
  RETURN_IF_ERROR(add_table(source, "model.embed_tokens", options.int8_tables, writer));
  if (!config.tie_word_embeddings) RETURN_IF_ERROR(add_table(source, "lm_head", options.int8_tables, writer));
  std::vector<Checkpoint> layers;  // mapped until the file is written
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    ASSIGN_OR_RETURN(Checkpoint layer, finished.open(i));
    layers.push_back(std::move(layer));
  }
  for (const Checkpoint& layer : layers)
    for (const auto& [name, info] : layer.files().front().tensors())
      writer.add(checkpoint::Tensor{name, &layer.files().front(), info});
  ASSIGN_OR_RETURN(const checkpoint::Tensor norm,
                   source.find("model.norm.weight", {config.hidden_size}, kFloats));
  writer.add(norm);
  report.bytes_after = writer.bytes();
  RETURN_IF_ERROR(writer.write((fs::path(out) / "model.safetensors").string()));
  RETURN_IF_ERROR(copy_small_files(source.directory(), out));
  return write_config(source.directory(), out, quantization_config(options));
}

}  // namespace

MatrixError ModelReport::total() const {
  MatrixError sum;
  for (const LayerReport& layer : layers)
    for (const MatrixError* error : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) sum.add(*error);
  return sum;
}

base::Result<ModelReport> quantize_model(const Checkpoint& source, const std::string& out,
                                         const Options& wanted, std::vector<CalibrationText> calibration,
                                         const std::function<void(double, const std::string&)>& progress) {
  Options options = wanted;
  if (options.method == Method::kFp8)
    options.scheme = {.bits = 8, .group_size = 0, .symmetric = true, .fp8 = true};
  RETURN_IF_ERROR(check(source, options, !calibration.empty()));
  RETURN_IF_ERROR(prepare_directory(out));
  const model::DenseShape shape = model::shape_of(source.config());
  ASSIGN_OR_RETURN(FinishedLayers finished,
                   FinishedLayers::open(out + ".partial", source, quantization_config(options),
                                        fingerprint(source, options, calibration)));
  ModelReport report;
  for (const checkpoint::ExpectedTensor& wanted : checkpoint::expected_tensors(source.config())) {
    ASSIGN_OR_RETURN(const checkpoint::Tensor tensor, source.find(wanted.name, wanted.shape, wanted.dtypes));
    report.bytes_before += tensor.bytes().size();
  }

  base::ThreadPool threads(options.threads);
  const std::unique_ptr<kernels::Ops> ops =
      kernels::make_cpu_ops({.threads = options.threads, .deterministic = true, .isa = ""});
  std::unique_ptr<LayerPass> pass;
  if (needs_texts(options.method)) {
    pass = std::make_unique<LayerPass>(shape, *ops, std::move(calibration));
    report.calibration_tokens = pass->tokens();
    RETURN_IF_ERROR(embed(source, options.int8_tables, *pass));
  }
  for (std::int64_t i = 0; i < shape.num_layers; ++i) {
    if (progress)
      progress(static_cast<double>(i) / static_cast<double>(shape.num_layers),
               fmt::format(" layer {}/{}", i + 1, shape.num_layers));
    LayerReport layer_report;
    if (finished.has(i)) {
      ASSIGN_OR_RETURN(layer_report, finished.report(i));
      if (pass != nullptr) {
        ASSIGN_OR_RETURN(const Checkpoint stored, finished.open(i));
        ASSIGN_OR_RETURN(const FloatLayer layer, read_layer(stored, i));
        run_layer(layer, shape, *ops, *pass);
      }
    } else {
      ASSIGN_OR_RETURN(FloatLayer layer, read_layer(source, i));
      const std::vector<StoredTensor> tensors =
          quantize_layer(std::move(layer), i, shape, options, *ops, pass.get(), threads, &layer_report);
      RETURN_IF_ERROR(finished.add(i, tensors, layer_report));
    }
    report.layers.push_back(layer_report);
  }
  if (progress) progress(1, " writing");
  RETURN_IF_ERROR(write_model(source, out, options, finished, report));
  finished.remove();
  return report;
}

}  // namespace pagoda::quantize

#include "quantize/round_to_nearest.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <vector>

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using checkpoint::Checkpoint;
using checkpoint::Tensor;
using checkpoint::TensorToWrite;
using tensor::DType;

constexpr std::size_t kMaxTokenizerBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;

struct Errors {
  double squared_error = 0, squared_weight = 0;
};

// scale = max|row| / 127; returns it. A row of zeros has scale 0.
float quantize_row(const std::vector<float>& row, std::int8_t* out, Errors& errors) {
  float largest = 0;
  for (const float value : row) largest = std::max(largest, std::abs(value));
  const float scale = largest / 127.0f;
  for (std::size_t i = 0; i < row.size(); ++i) {
    // A scale that is subnormal is rounded so much that quotients may pass 127.
    out[i] = scale > 0 ? static_cast<std::int8_t>(std::clamp(std::lround(row[i] / scale), -127L, 127L)) : 0;
    const double error = row[i] - static_cast<double>(out[i]) * scale;
    errors.squared_error += error * error;
    errors.squared_weight += static_cast<double>(row[i]) * row[i];
  }
  return scale;
}

base::Status check_finite(const std::vector<float>& row, const Tensor& tensor) {
  for (const float value : row)
    if (!std::isfinite(value))
      return base::data_loss("{}: tensor {} holds a value that is not finite", tensor.file->path(),
                             tensor.name);
  return {};
}

base::Status write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return base::error(base::Code::kInternal, "cannot write {}", path.string());
  return {};
}

// config.json as it was, with the note how the weights are stored.
base::Status write_config(const std::string& from, const fs::path& to) {
  ASSIGN_OR_RETURN(const std::string text, base::read_file(from, kMaxConfigBytes));
  boost::system::error_code error;
  json::value config = json::parse(text, error);
  if (error || !config.is_object()) return base::data_loss("{} is not a JSON object", from);
  config.as_object()["quantization_config"] = {
      {"quant_method", "pagoda-int8"}, {"bits", 8}, {"scheme", "per_channel_symmetric"}, {"embedding", true}};
  return write_text(to, json::serialize(config) + "\n");
}

// A tokenizer as it is published is half white space, which nobody reads.
base::Status write_compact(const fs::path& from, const fs::path& to) {
  ASSIGN_OR_RETURN(const std::string text, base::read_file(from.string(), kMaxTokenizerBytes));
  boost::system::error_code error;
  const json::value tokenizer = json::parse(text, error);
  if (error) return base::data_loss("{} is not JSON: {}", from.string(), error.message());
  return write_text(to, json::serialize(tokenizer) + "\n");
}

base::Status copy_small_files(const fs::path& from, const fs::path& to) {
  if (fs::exists(from / "tokenizer.json"))
    RETURN_IF_ERROR(write_compact(from / "tokenizer.json", to / "tokenizer.json"));
  for (const char* name : {"tokenizer_config.json", "generation_config.json", "chat_template.jinja",
                           "special_tokens_map.json"}) {
    std::error_code error;
    if (!fs::exists(from / name)) continue;
    fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing, error);
    // A read-only source is no reason for a copy that cannot be deleted.
    if (!error) fs::permissions(to / name, fs::perms::owner_write, fs::perm_options::add, error);
    if (error)
      return base::error(base::Code::kInternal, "cannot copy {} to {}: {}", name, to.string(),
                         error.message());
  }
  return {};
}

}  // namespace

base::Result<Report> quantize_int8(const Checkpoint& source, const std::string& out,
                                   const std::function<void(double)>& progress) {
  if (source.config().quantization.method != checkpoint::QuantMethod::kNone)
    return base::invalid("{} is quantised already", source.directory());
  RETURN_IF_ERROR(checkpoint::check_tensors(source));
  std::error_code error;
  fs::create_directories(out, error);
  if (error) return base::invalid("cannot create {}: {}", out, error.message());
  for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json"})
    if (fs::exists(fs::path(out) / name)) return base::invalid("{} holds a model already ({})", out, name);

  Report report;
  Errors errors;
  std::deque<std::vector<std::byte>> storage;  // a deque: what TensorToWrite points to must not move
  std::vector<TensorToWrite> tensors;
  const auto keep = [&](std::string name, DType dtype, std::vector<std::int64_t> shape,
                        std::vector<std::byte> bytes) {
    report.bytes_after += bytes.size();
    storage.push_back(std::move(bytes));
    tensors.push_back({std::move(name), dtype, std::move(shape), storage.back()});
  };
  const auto wanted = checkpoint::expected_tensors(source.config());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ASSIGN_OR_RETURN(const Tensor tensor, source.find(wanted[i].name, wanted[i].shape, wanted[i].dtypes));
    report.bytes_before += tensor.bytes().size();
    if (wanted[i].shape.size() == 2) {
      const std::int64_t rows = wanted[i].shape[0], columns = wanted[i].shape[1];
      std::vector<std::byte> integers(rows * columns), scales(rows * sizeof(float));
      std::vector<float> row(columns);
      for (std::int64_t r = 0; r < rows; ++r) {
        Checkpoint::copy_row(tensor, r, row.data());
        RETURN_IF_ERROR(check_finite(row, tensor));
        const float scale =
            quantize_row(row, reinterpret_cast<std::int8_t*>(integers.data()) + r * columns, errors);
        std::memcpy(scales.data() + r * sizeof(float), &scale, sizeof(float));
      }
      keep(wanted[i].name, DType::kI8, wanted[i].shape, std::move(integers));
      keep(wanted[i].name + "_scale", DType::kF32, {rows}, std::move(scales));
    } else {
      const auto bytes = tensor.bytes();
      keep(wanted[i].name, tensor.info.dtype, wanted[i].shape, {bytes.begin(), bytes.end()});
    }
    tensor.file->release(tensor.info);
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(wanted.size()));
  }
  report.relative_error = std::sqrt(errors.squared_error / std::max(errors.squared_weight, 1e-300));
  const fs::path directory(out);
  RETURN_IF_ERROR(
      checkpoint::write_safetensors((directory / "model.safetensors").string(), tensors, {{"format", "pt"}}));
  RETURN_IF_ERROR(copy_small_files(source.directory(), directory));
  RETURN_IF_ERROR(write_config(source.directory() + "/config.json", directory / "config.json"));
  return report;
}

}  // namespace pagoda::quantize

#include "quantize/round_to_nearest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <vector>

#include "quantize/model_directory.h"

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using checkpoint::Tensor;
using checkpoint::TensorToWrite;
using tensor::DType;

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

}  // namespace

base::Result<Report> quantize_int8(const Checkpoint& source, const std::string& out,
                                   const std::function<void(double)>& progress) {
  if (source.config().quantization.method != checkpoint::QuantMethod::kNone)
    return base::invalid("{} is quantised already", source.directory());
  RETURN_IF_ERROR(checkpoint::check_tensors(source));
  RETURN_IF_ERROR(prepare_directory(out));

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
  RETURN_IF_ERROR(copy_small_files(source.directory(), out));
  RETURN_IF_ERROR(write_config(source.directory(), out,
                               {{"quant_method", "pagoda-int8"},
                                {"bits", 8},
                                {"scheme", "per_channel_symmetric"},
                                {"embedding", true}}));
  return report;
}

}  // namespace pagoda::quantize

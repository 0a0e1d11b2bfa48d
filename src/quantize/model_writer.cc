#include "quantize/model_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pagoda::quantize {
namespace {

using checkpoint::Checkpoint;

double squared_error(const float* row, const std::int8_t* integers, float scale, std::int64_t in) {
  double sum = 0;
  for (std::int64_t i = 0; i < in; ++i) {
    const double error = row[i] - static_cast<double>(integers[i]) * scale;
    sum += error * error;
  }
  return sum;
}

}  // namespace

void ModelWriter::add(std::vector<StoredTensor> tensors) {
  for (StoredTensor& tensor : tensors) {
    storage_.push_back(std::move(tensor));
    const StoredTensor& kept = storage_.back();
    list_.push_back({kept.name, kept.dtype, kept.shape, kept.bytes});
    bytes_ += kept.bytes.size();
  }
}

void ModelWriter::add(const checkpoint::Tensor& tensor) {
  list_.push_back({tensor.name, tensor.info.dtype, tensor.info.shape, tensor.bytes()});
  bytes_ += tensor.bytes().size();
}

base::Status ModelWriter::write(const std::string& path) const {
  return checkpoint::write_safetensors(path, list_, {{"format", "pt"}});
}

base::Result<std::vector<StoredTensor>> round_int8(const checkpoint::Tensor& tensor, RoundingErrors* errors) {
  const std::int64_t rows = tensor.info.shape[0], in = tensor.info.shape[1];
  bool finite = true;
  const std::string suffix = ".weight";
  const std::string name = tensor.name.substr(0, tensor.name.size() - suffix.size());
  auto stored = pack_int8(name, rows, in, [&](std::int64_t row, float* out) {
    Checkpoint::copy_row(tensor, row, out);
    for (std::int64_t i = 0; i < in; ++i)
      if (!std::isfinite(out[i])) finite = false, out[i] = 0;
  });
  if (!finite)
    return base::data_loss("{}: tensor {} holds a value that is not finite", tensor.file->path(),
                           tensor.name);
  if (errors == nullptr) return stored;
  std::vector<float> row(in);
  for (std::int64_t r = 0; r < rows; ++r) {
    Checkpoint::copy_row(tensor, r, row.data());
    float scale = 0;
    std::memcpy(&scale, stored[1].bytes.data() + r * sizeof(scale), sizeof(scale));
    const auto* integers = reinterpret_cast<const std::int8_t*>(stored[0].bytes.data()) + r * in;
    errors->squared_error += squared_error(row.data(), integers, scale, in);
    for (const float value : row) errors->squared_weight += static_cast<double>(value) * value;
  }
  return stored;
}

}  // namespace pagoda::quantize

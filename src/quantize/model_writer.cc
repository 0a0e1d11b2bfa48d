#include "quantize/model_writer.h"

#include <cmath>

namespace pagoda::quantize {

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
  auto stored = pack_int8(
      name, rows, in,
      [&](std::int64_t row, float* out) {
        checkpoint::Checkpoint::copy_row(tensor, row, out);
        for (std::int64_t i = 0; i < in; ++i)
          if (!std::isfinite(out[i])) finite = false, out[i] = 0;
      },
      errors);
  if (!finite)
    return base::data_loss("{}: tensor {} holds a value that is not finite", tensor.file->path(),
                           tensor.name);
  return stored;
}

}  // namespace pagoda::quantize

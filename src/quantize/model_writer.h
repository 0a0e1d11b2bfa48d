#pragma once
// The tensors of a quantised model on their way to its file.

#include <deque>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "quantize/packed_layouts.h"

namespace pagoda::quantize {

// Owns what it is handed as StoredTensor; the files of the others must stay mapped until write().
class ModelWriter {
 public:
  void add(std::vector<StoredTensor> tensors);
  void add(const checkpoint::Tensor& tensor);
  std::size_t bytes() const { return bytes_; }
  base::Status write(const std::string& path) const;

 private:
  std::size_t bytes_ = 0;
  std::deque<StoredTensor> storage_;  // a deque: what list_ points to must not move
  std::vector<checkpoint::TensorToWrite> list_;
};

// A float matrix of a checkpoint rounded to INT8 rows; kDataLoss where a value is not finite. Adds to
// `errors`, unless null.
base::Result<std::vector<StoredTensor>> round_int8(const checkpoint::Tensor& tensor, RoundingErrors* errors);

}  // namespace pagoda::quantize

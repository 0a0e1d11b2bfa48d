#pragma once
// One .safetensors file: an 8-byte little-endian header length, a JSON header, then tensor bytes.
// Memory-mapped; everything the header claims is checked against the file before a byte is handed out. Source
// of the format: huggingface/safetensors README. Immutable after open, so any thread may read.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/status.h"
#include "tensor/dtype.h"

namespace pagoda::checkpoint {

struct TensorInfo {
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<std::int64_t> shape;
  std::size_t begin = 0, end = 0;  // bytes, from the start of the file

  std::int64_t elements() const;
};

// Parses a header (the JSON text alone). Offsets are relative to the data section, which starts at
// `data_begin` and has `data_bytes`. Checked: known dtype, shape >= 0, end - begin = product(shape) * size
// without overflow, inside the file, no overlap between tensors. `name` is used in messages. `__metadata__`
// is skipped.
base::Result<std::map<std::string, TensorInfo>> parse_safetensors_header(std::string_view json,
                                                                         std::size_t data_begin,
                                                                         std::size_t data_bytes,
                                                                         const std::string& name);

class SafetensorsFile {
 public:
  static base::Result<SafetensorsFile> open(const std::string& path);
  const std::string& path() const { return file_.path(); }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  // Not aligned in general: old writers put the data section at any offset, so read elements by memcpy.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  // The tensor was read for the last time; its pages may leave resident memory.
  void release(const TensorInfo& tensor) const;

 private:
  base::MappedFile file_;
  std::map<std::string, TensorInfo> tensors_;
};

// Writes tensors grouped by element size, largest first, else in the given order: so each is aligned to its
// element without gaps, which the original reader refuses. Through a temporary file that is renamed at the
// end.
struct TensorToWrite {
  std::string name;
  tensor::DType dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};
base::Status write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                               const std::map<std::string, std::string>& metadata);

}  // namespace pagoda::checkpoint

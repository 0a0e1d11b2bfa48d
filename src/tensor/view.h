#pragma once
// A borrowed two-dimensional array: activations between operators. Rows may be padded. Where the memory lies
// (host or device) is known to the backend that was given it.

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace pagoda::tensor {

struct View {
  std::byte* data = nullptr;  // [rows, cols], row r begins at element r * stride
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;  // elements from one row to the next, >= cols
  DType dtype = DType::kF32;

  static View of(float* data, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
    return {reinterpret_cast<std::byte*>(data), rows, cols, stride, DType::kF32};
  }

  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
  // Of a kF32 view in host memory.
  float* row(std::int64_t r) const { return as<float>() + r * stride; }
  // The columns [begin, begin + count) of every row.
  View columns(std::int64_t begin, std::int64_t count) const {
    return {data + begin * static_cast<std::int64_t>(dtype_bytes(dtype)), rows, count, stride, dtype};
  }
  View first_rows(std::int64_t count) const { return {data, count, cols, stride, dtype}; }
};

}  // namespace pagoda::tensor

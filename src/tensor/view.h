#pragma once
// A borrowed two-dimensional array of floats: activations between operators. Rows may be padded.

#include <cstdint>

namespace pagoda::tensor {

struct View {
  float* data = nullptr;  // [rows, cols], row r at data + r * stride
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;  // elements from one row to the next, >= cols

  float* row(std::int64_t r) const { return data + r * stride; }
  // The columns [begin, begin + count) of every row.
  View columns(std::int64_t begin, std::int64_t count) const { return {data + begin, rows, count, stride}; }
  View first_rows(std::int64_t count) const { return {data, count, cols, stride}; }
};

}  // namespace pagoda::tensor

#pragma once
// Weight matrices. A WeightSource describes one as files have it (row by row); a backend packs it once, at
// load, into the layout its kernels stream (Weight). A Weight is immutable afterwards.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "tensor/memory.h"

namespace pagoda::kernels {

enum class WeightFormat : std::uint8_t {
  kF32,   // reference backend only
  kBF16,  // 2 bytes a weight
  kInt8,  // 1 byte a weight, symmetric, one float scale per output row; activations quantised per token
};
std::string_view weight_format_name(WeightFormat format);

// W[out, in]. Rows may be asked for in any order and from several threads at once.
struct WeightSource {
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;
  WeightFormat format = WeightFormat::kBF16;  // how it is to be stored
  // Writes row `row` as in_features floats. Used for kF32 and kBF16.
  std::function<void(std::int64_t row, float* out)> row_f32;
  // Writes row `row` as in_features integers in [-127, 127] and its scale. Used for kInt8.
  std::function<void(std::int64_t row, std::int8_t* out, float* scale)> row_int8;
};

struct Weight {
  WeightFormat format = WeightFormat::kBF16;
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;
  tensor::Buffer data;     // layout of the backend that packed it
  tensor::Buffer scales;   // kInt8: float [out]
  tensor::Buffer offsets;  // kInt8 on the CPU: int32 [out], 128 * sum of the row (see cpu/pack.cc)

  // All bytes that one matrix product must read.
  std::size_t bytes() const { return data.size() + scales.size() + offsets.size(); }
};

}  // namespace pagoda::kernels

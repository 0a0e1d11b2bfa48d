#pragma once
// Weight matrices. A WeightSource describes one as files have it (row by row); a backend packs it once, at
// load, into the layout its kernels stream (Weight). A Weight is immutable afterwards.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "tensor/memory.h"

namespace pagoda::kernels {

enum class WeightFormat : std::uint8_t {
  kF32,   // reference backend only
  kBF16,  // 2 bytes a weight
  kInt8,  // 1 byte a weight; scale (and zero) per output row or per group of inputs
  kInt4,  // half a byte a weight; scale and zero per group of inputs
  kFp8,   // 1 byte a weight, e4m3 (largest value 448); one scale per output row
};
std::string_view weight_format_name(WeightFormat format);

// Integers of one row, to be written by a source: w[j] = (values[j] - zeros[j / group]) * scales[j / group].
struct QuantizedRow {
  // [in]: [-128, 127] for kInt8, [0, 15] for kInt4. Null, only of a source with `stored`: not wanted.
  std::int8_t* values = nullptr;
  float* scales = nullptr;       // [groups]
  std::int8_t* zeros = nullptr;  // [groups], in the range of the values; set beforehand to symmetric_zero()
};
// What stands for 0.0 where a file has no zero points.
constexpr std::int8_t symmetric_zero(WeightFormat format) { return format == WeightFormat::kInt4 ? 8 : 0; }

// The integers of some rows as a file has them, for a backend that rearranges them by itself.
struct StoredIntegers {
  enum class Order : std::uint8_t {
    kInputWords,   // kInt4: words [in / 8, rows], each eight inputs of a row, from the low bits up (GPTQ)
    kOutputWords,  // kInt4: words [in, rows / 8], each eight rows of an input: 0 2 4 6 1 3 5 7 (AWQ)
    kRows,         // kInt4: words [rows, in / 8], as the first; kInt8: bytes [rows, in] (compressed-tensors)
  };
  Order order = Order::kRows;
  std::int64_t rows = 0;
  const std::byte* data = nullptr;  // not aligned; lives as long as the source
};

// W[out, in]. Rows may be asked for in any order and from several threads at once.
struct WeightSource {
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;
  WeightFormat format = WeightFormat::kBF16;  // how it is to be stored
  // kInt8, kInt4: inputs that share a scale, a multiple of 32; 0: the whole row. The last group may be short.
  std::int64_t group_size = 0;
  // kInt8, kInt4: false promises that every zero is symmetric_zero(format), which need not be stored then.
  bool has_zeros = false;
  // Rows i and i + out / 2 are used together (gate and up): a backend may store them side by side.
  bool pairs = false;
  // Activation order of GPTQ: value j of a row multiplies input input_order[j]. Empty: value j, input j.
  std::vector<std::int32_t> input_order;

  // Writes row `row` as in_features floats. Used for kF32 and kBF16.
  std::function<void(std::int64_t row, float* out)> row_f32;
  // Writes `count` rows, one behind another in `out`. Used for kInt8 and kInt4, by read_quantized_rows().
  std::function<void(std::int64_t row, std::int64_t count, const QuantizedRow& out)> rows_quantized;
  // The same values, part below part; empty if a file has them otherwise, or there is an input_order.
  std::vector<StoredIntegers> stored;
  // Writes in_features e4m3 bytes and the row's scale. Used for kFp8.
  std::function<void(std::int64_t row, std::uint8_t* out, float* scale)> row_fp8;

  std::int64_t groups() const { return group_size == 0 ? 1 : (in_features + group_size - 1) / group_size; }
  // Sets rows_quantized to what calls write_row for one row after another.
  void set_row_quantized(std::function<void(std::int64_t row, const QuantizedRow& out)> write_row);
};

struct Weight {
  WeightFormat format = WeightFormat::kBF16;
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;
  std::int64_t group_size = 0;  // as in the source; 0: one group a row
  bool pairs = false;           // as in the source
  tensor::Buffer data;          // layout of the backend that packed it, as all below
  tensor::Buffer scales;        // kInt8, kInt4, kFp8
  tensor::Buffer offsets;       // what zero points (and unsigned activations, see cpu/pack.cc) add up to
  tensor::Buffer input_order;   // int32 [in]; empty: as they come

  // All bytes that one matrix product must read.
  std::size_t bytes() const { return data.size() + scales.size() + offsets.size() + input_order.size(); }
};

// `count` rows of integers, one behind another in `out`; their zeros are set beforehand here.
void read_quantized_rows(const WeightSource& source, std::int64_t row, std::int64_t count,
                         const QuantizedRow& out);

// Row `row` of a source as in_features floats in the order of the inputs, exactly as its format stores them.
// The definition of every format; slow.
void dequantize_row(const WeightSource& source, std::int64_t row, float* out);

}  // namespace pagoda::kernels

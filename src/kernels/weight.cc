#include "kernels/weight.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "tensor/dtype.h"

namespace pagoda::kernels {

std::string_view weight_format_name(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return "f32";
    case WeightFormat::kBF16:
      return "bf16";
    case WeightFormat::kInt8:
      return "int8";
    case WeightFormat::kInt4:
      return "int4";
    case WeightFormat::kFp8:
      return "fp8";
  }
  return "unknown";
}

void WeightSource::set_row_quantized(
    std::function<void(std::int64_t row, const QuantizedRow& out)> write_row) {
  rows_quantized = [write_row = std::move(write_row), in = in_features, groups = groups()](
                       std::int64_t row, std::int64_t count, const QuantizedRow& out) {
    for (std::int64_t i = 0; i < count; ++i)
      write_row(row + i, {out.values == nullptr ? nullptr : out.values + i * in, out.scales + i * groups,
                          out.zeros + i * groups});
  };
}

void read_quantized_rows(const WeightSource& source, std::int64_t row, std::int64_t count,
                         const QuantizedRow& out) {
  const std::int64_t groups = source.groups();
  std::fill_n(out.zeros, count * groups, symmetric_zero(source.format));
  source.rows_quantized(row, count, out);
}

void dequantize_row(const WeightSource& source, std::int64_t row, float* out) {
  const std::int64_t in = source.in_features;
  switch (source.format) {
    case WeightFormat::kF32:
      source.row_f32(row, out);
      return;
    case WeightFormat::kBF16:
      source.row_f32(row, out);
      for (std::int64_t i = 0; i < in; ++i) out[i] = tensor::to_float(tensor::to_bfloat16(out[i]));
      return;
    case WeightFormat::kFp8: {
      std::vector<std::uint8_t> bytes(in);
      float scale = 0;
      source.row_fp8(row, bytes.data(), &scale);
      for (std::int64_t i = 0; i < in; ++i) out[i] = tensor::float8_e4m3_to_float(bytes[i]) * scale;
      return;
    }
    case WeightFormat::kInt8:
    case WeightFormat::kInt4:
      break;
  }
  const std::int64_t group = source.group_size == 0 ? in : source.group_size;
  std::vector<std::int8_t> values(in), zeros(source.groups());
  std::vector<float> scales(source.groups());
  read_quantized_rows(source, row, 1, {values.data(), scales.data(), zeros.data()});
  for (std::int64_t j = 0; j < in; ++j) {
    const std::int64_t input = source.input_order.empty() ? j : source.input_order[j];
    out[input] = static_cast<float>(values[j] - zeros[j / group]) * scales[j / group];
  }
}

}  // namespace pagoda::kernels

#include "quantize/packed_layouts.h"

#include <cstring>

#include "base/check.h"
#include "kernels/round_to_nearest.h"

namespace pagoda::quantize {
namespace {

using tensor::DType;

// Which nibble of its word a column of eight has in AWQ's layout.
constexpr int kAwqNibble[8] = {0, 4, 1, 5, 2, 6, 3, 7};

template <typename T>
StoredTensor stored(std::string name, DType dtype, std::vector<std::int64_t> shape,
                    const std::vector<T>& values) {
  StoredTensor tensor{std::move(name), dtype, std::move(shape),
                      std::vector<std::byte>(values.size() * sizeof(T))};
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

StoredTensor scales_by_group(const std::string& name, const QuantizedMatrix& matrix, std::int64_t first,
                             std::int64_t rows) {
  const std::int64_t groups = matrix.groups();
  std::vector<std::uint16_t> scales(groups * rows);
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t r = 0; r < rows; ++r)
      scales[g * rows + r] = tensor::float_to_half(matrix.scales[(first + r) * groups + g]);
  return stored(name + ".scales", DType::kF16, {groups, rows}, scales);
}

void add_errors(const std::vector<float>& row, const std::int8_t* integers, float scale,
                RoundingErrors* errors) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double error = row[i] - static_cast<double>(integers[i]) * scale;
    errors->squared_error += error * error;
    errors->squared_weight += static_cast<double>(row[i]) * row[i];
  }
}

}  // namespace

std::vector<StoredTensor> pack_gptq(const std::string& name, const QuantizedMatrix& matrix,
                                    std::int64_t first, std::int64_t rows) {
  const int bits = matrix.scheme.bits, per_word = 32 / bits;
  const std::int64_t in = matrix.in, groups = matrix.groups();
  CHECK(in % per_word == 0 && rows % per_word == 0);
  std::vector<std::uint32_t> weight(in / per_word * rows), zeros(groups * (rows / per_word));
  std::vector<std::int32_t> group_of_input(in);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::uint8_t* values = matrix.values.data() + (first + r) * in;
    for (std::int64_t i = 0; i < in; ++i)
      weight[i / per_word * rows + r] |= static_cast<std::uint32_t>(values[i]) << (i % per_word * bits);
    for (std::int64_t g = 0; g < groups; ++g) {
      const int zero = matrix.zeros[(first + r) * groups + g];
      CHECK(zero > 0);
      zeros[g * (rows / per_word) + r / per_word] |= static_cast<std::uint32_t>(zero - 1)
                                                     << (r % per_word * bits);
    }
  }
  for (std::int64_t i = 0; i < in; ++i) group_of_input[i] = static_cast<std::int32_t>(matrix.group_of(i));
  std::vector<StoredTensor> tensors;
  tensors.push_back(stored(name + ".qweight", DType::kI32, {in / per_word, rows}, weight));
  tensors.push_back(stored(name + ".qzeros", DType::kI32, {groups, rows / per_word}, zeros));
  tensors.push_back(scales_by_group(name, matrix, first, rows));
  tensors.push_back(stored(name + ".g_idx", DType::kI32, {in}, group_of_input));
  return tensors;
}

std::vector<StoredTensor> pack_awq(const std::string& name, const QuantizedMatrix& matrix, std::int64_t first,
                                   std::int64_t rows) {
  const std::int64_t in = matrix.in, groups = matrix.groups(), words = rows / 8;
  CHECK(matrix.scheme.bits == 4 && rows % 8 == 0 && matrix.group_of_input.empty());
  std::vector<std::uint32_t> weight(in * words), zeros(groups * words);
  for (std::int64_t r = 0; r < rows; ++r) {
    const int shift = 4 * kAwqNibble[r % 8];
    const std::uint8_t* values = matrix.values.data() + (first + r) * in;
    for (std::int64_t i = 0; i < in; ++i)
      weight[i * words + r / 8] |= static_cast<std::uint32_t>(values[i]) << shift;
    for (std::int64_t g = 0; g < groups; ++g)
      zeros[g * words + r / 8] |= static_cast<std::uint32_t>(matrix.zeros[(first + r) * groups + g]) << shift;
  }
  std::vector<StoredTensor> tensors;
  tensors.push_back(stored(name + ".qweight", DType::kI32, {in, words}, weight));
  tensors.push_back(stored(name + ".qzeros", DType::kI32, {groups, words}, zeros));
  tensors.push_back(scales_by_group(name, matrix, first, rows));
  return tensors;
}

std::vector<StoredTensor> pack_int8(const std::string& name, std::int64_t rows, std::int64_t in,
                                    const std::function<void(std::int64_t row, float* out)>& read,
                                    RoundingErrors* errors) {
  std::vector<float> row(in);
  std::vector<std::int8_t> values(rows * in);
  std::vector<float> scales(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int8_t zero = 0;
    read(r, row.data());
    kernels::round_to_nearest(row.data(), in, kernels::WeightFormat::kInt8, /*group_size=*/0,
                              /*symmetric=*/true, {values.data() + r * in, scales.data() + r, &zero});
    if (errors != nullptr) add_errors(row, values.data() + r * in, scales[r], errors);
  }
  std::vector<StoredTensor> tensors;
  tensors.push_back(stored(name + ".weight", DType::kI8, {rows, in}, values));
  tensors.push_back(stored(name + ".weight_scale", DType::kF32, {rows}, scales));
  return tensors;
}

std::vector<StoredTensor> pack_fp8(const std::string& name, const QuantizedMatrix& matrix, std::int64_t first,
                                   std::int64_t rows) {
  CHECK(matrix.scheme.fp8 && matrix.groups() == 1);
  const std::vector<std::uint8_t> values(matrix.values.begin() + first * matrix.in,
                                         matrix.values.begin() + (first + rows) * matrix.in);
  const std::vector<float> scales(matrix.scales.begin() + first, matrix.scales.begin() + first + rows);
  std::vector<StoredTensor> tensors;
  tensors.push_back(stored(name + ".weight", DType::kF8E4M3, {rows, matrix.in}, values));
  tensors.push_back(stored(name + ".weight_scale", DType::kF32, {rows, 1}, scales));
  return tensors;
}

}  // namespace pagoda::quantize

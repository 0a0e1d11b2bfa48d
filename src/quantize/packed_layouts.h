#pragma once
// Quantised matrices as the tensors of GPTQ's (v1) and AWQ's (gemm) layouts, which checkpoint/stored_linear.h
// describes and reads back.

#include <functional>
#include <string>
#include <vector>

#include "quantize/grid.h"
#include "tensor/dtype.h"

namespace pagoda::quantize {

struct StoredTensor {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

// Rows [first, first + rows) of `matrix` as the layer `name`. Rows, inputs: multiples of 32 / bits.
std::vector<StoredTensor> pack_gptq(const std::string& name, const QuantizedMatrix& matrix,
                                    std::int64_t first, std::int64_t rows);
// 4 bits, groups in the order of the inputs. Rows: a multiple of 8.
std::vector<StoredTensor> pack_awq(const std::string& name, const QuantizedMatrix& matrix, std::int64_t first,
                                   std::int64_t rows);
struct RoundingErrors {
  double squared_error = 0, squared_weight = 0;
};
// A matrix as 8-bit symmetric rows with a scale each: X.weight I8 and X.weight_scale F32. `read`, called once
// a row, writes its floats. Adds to `errors`, unless null.
std::vector<StoredTensor> pack_int8(const std::string& name, std::int64_t rows, std::int64_t in,
                                    const std::function<void(std::int64_t row, float* out)>& read,
                                    RoundingErrors* errors);
// Of a matrix of e4m3 with a scale a row: X.weight F8_E4M3 and X.weight_scale F32 [rows, 1].
std::vector<StoredTensor> pack_fp8(const std::string& name, const QuantizedMatrix& matrix, std::int64_t first,
                                   std::int64_t rows);

}  // namespace pagoda::quantize

#pragma once
// The float arithmetic of calibration: products of large row-major matrices, and the Cholesky factor that
// GPTQ needs. Each element is summed in one order whatever the number of threads, so results repeat to the
// bit on one kind of CPU. A device with matrix units would replace these functions and nothing else in this
// folder.

#include <cstdint>
#include <vector>

#include "base/thread_pool.h"

namespace pagoda::quantize {

// A borrowed matrix: element (i, j) at data[i * row_stride + j * column_stride].
struct MatrixRef {
  const float* data = nullptr;
  std::int64_t rows = 0, columns = 0;
  std::int64_t row_stride = 0, column_stride = 1;

  MatrixRef transposed() const { return {data, columns, rows, column_stride, row_stride}; }
};

// c[i, j] += sign * sum_k a[i, k] b[k, j], with c row-major, `stride` floats from row to row. Columns of b
// are contiguous. `upper_only`: elements below the diagonal may be left as they are.
void multiply_add(MatrixRef a, MatrixRef b, float sign, float* c, std::int64_t stride, bool upper_only,
                  base::ThreadPool& threads);

// gram [n, n] += x^T x for x [rows, n], the upper triangle alone.
void accumulate_gram(MatrixRef x, float* gram, base::ThreadPool& threads);
// Mirrors the upper triangle of [n, n] into the lower.
void mirror_upper(float* matrix, std::int64_t n);

// The upper triangular U with U^T U = H^-1, in place of the symmetric positive definite h [n, n]; zeros below
// the diagonal. False where h is not positive definite.
bool inverse_cholesky(float* h, std::int64_t n, base::ThreadPool& threads);

}  // namespace pagoda::quantize

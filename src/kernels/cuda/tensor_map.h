#pragma once
// Tensor maps: how the copy engine of sm_90 finds a box of a matrix. The driver makes them.

#include <cstddef>
#include <cstdint>

namespace pagoda::kernels::cuda {

// [rows, columns], row-major: `data` and rows begin at multiples of 16 bytes.
struct RowsInMemory {
  const std::byte* data;
  int rows, columns;
  std::int64_t stride;  // elements
  int element_bytes;
};
// map (128 bytes, 64-byte aligned) <- boxes of `box_rows` rows and 128 bytes of each, which land swizzled as
// hopper.cuh wants operands. With pairs, rows come in the order of tiles (tile_layout.cuh): 8 rows, then the
// 8 that lie rows / 2 further down. What lies outside comes as zeros.
void describe_rows(const RowsInMemory& matrix, bool pairs, int box_rows, std::byte* map);
// Whether the driver can.
bool can_describe();

}  // namespace pagoda::kernels::cuda

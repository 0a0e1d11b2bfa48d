#pragma once
// Tensor maps: how the copy engine of sm_90 finds a box of a matrix. The driver makes them.

#include <cstddef>

namespace pagoda::kernels::cuda {

// map (128 bytes, 64-byte aligned) <- boxes of `box_rows` rows and 128 bytes of each, of data [rows,
// columns], row-major, which land swizzled as hopper.cuh wants operands. With pairs, rows come in the order
// of tiles (tile_layout.cuh): 8 rows, then the 8 that lie rows / 2 further down. What lies outside comes as
// zeros.
void describe_rows(const std::byte* data, int rows, int columns, int element_bytes, bool pairs, int box_rows,
                   std::byte* map);
// Whether the driver can.
bool can_describe();

}  // namespace pagoda::kernels::cuda

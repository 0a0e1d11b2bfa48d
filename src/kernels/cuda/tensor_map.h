#pragma once
// Tensor maps: how the copy engine of sm_90 finds a box of a matrix. The driver makes them.

#include <cstddef>

namespace pagoda::kernels::cuda {

// map (128 bytes, 64-byte aligned) <- boxes of `box_rows` rows and 64 columns of data [rows, columns],
// row-major. Elements of 2 bytes land swizzled as hopper.cuh wants operands, those of 1 byte as they are.
void describe_rows(const std::byte* data, int rows, int columns, int element_bytes, int box_rows,
                   std::byte* map);
// Whether the driver can.
bool can_describe();

}  // namespace pagoda::kernels::cuda

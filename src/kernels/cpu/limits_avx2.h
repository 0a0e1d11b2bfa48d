#pragma once
// How fast AVX2 multiplies bytes at all; see limits.h. Needs AVX2.

namespace pagoda::kernels::cpu {

// `rounds` rounds of products whose weights are below 16 (sums widened after 8), or any byte (widened at
// once). Returns the number of products.
double avx2_nibble_products(long rounds);
double avx2_byte_products(long rounds);

}  // namespace pagoda::kernels::cpu

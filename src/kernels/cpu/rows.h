#pragma once
// Operations on single rows of floats, in Highway with run-time dispatch. Results do not depend on anything
// outside the row. Pointers need no alignment.

#include <cstdint>

namespace pagoda::kernels::cpu {

// out = x / sqrt(mean(x^2) + eps) * weight
void rms_norm_row(const float* x, const float* weight, float eps, std::int64_t n, float* out);
// out = silu(gate) * up
void swiglu_row(const float* gate, const float* up, std::int64_t n, float* out);
// Rotates the two halves of x [2 * half] in place.
void rotate_half_row(float* x, const float* cos, const float* sin, std::int64_t half);
// Rounds to nearest even.
void bf16_row(const float* x, std::int64_t n, std::uint16_t* out);
// out = x / scale rounded, with scale = max|x| / 127 (0 for zeros) by groups of `group`, a multiple of 32:
// pads the last group with zeros, writes the scale and the sum of the integers of each.
void quantize_groups_row(const float* x, std::int64_t n, std::int64_t group, std::int8_t* out, float* scales,
                         std::int32_t* sums);

// One step of the online softmax of one attention row over a tile of `tile` scores, of which the first
// `valid` (may be 0) count: rescales out [head_dim] and *total to the new maximum and leaves exp(score *
// scale - max) in `scores`, zero from `valid` on.
void softmax_tile_row(float* scores, std::int64_t tile, std::int64_t valid, float scale, float* max,
                      float* total, float* out, std::int64_t head_dim);
// out = x * factor
void scale_row(const float* x, float factor, std::int64_t n, float* out);

}  // namespace pagoda::kernels::cpu

#pragma once
// Where x lies, the bf16 input of a product: row after row, or as the image that the wide kernels of integers
// read. Whoever makes x (attention, the end of a linear kernel) leaves it in the form that its reader wants.
//
// An image is [rows of x / columns][k / 64][columns][64]: what linear_wide.cuh copies for a step of k lies
// together, swizzled as hopper.cuh wants operands, and k is in the order in which lanes find it in W
// (linear_format.cuh). No device code but inline: host files include it too.

#include <cuda_bf16.h>

#include <cstddef>
#include <cstdint>

namespace pagoda::kernels::cuda {

// In which order k lies in 64 of a row of an image: as INT4 has it, or as INT8.
enum class XOrder : int { kHalves, kBytes };

// Of a row of x in an image: whole steps of k, of any format.
__host__ __device__ constexpr std::int64_t image_features(std::int64_t in_features) {
  return (in_features + 127) / 128 * 128;
}

inline constexpr int kImageRow = 128;  // bytes of 64 k

// The first of the two neighbouring k that lie at place `place` (of 4) of piece `piece` (of 8, of 16 bytes)
// of 64 k; XRows::to_k() is the other way round.
__host__ __device__ constexpr int k_of_pair(XOrder order, int piece, int place) {
  const int step = piece / 2, upper = piece % 2;  // of 16 k, and which half of a fragment
  return order == XOrder::kHalves ? step / 2 * 32 + place * 8 + step % 2 * 4 + upper * 2
                                  : place * 16 + step * 4 + upper * 2;
}

struct XRows {
  std::byte* data = nullptr;
  std::int64_t stride = 0;  // rows: elements from one to the next; image: image_features()
  int column_bits = 0;      // image: log2 of the rows of x that a block computes; rows: 0
  XOrder order = XOrder::kHalves;

  __host__ __device__ bool is_image() const { return column_bits > 0; }
  // Rows: those from `first` on. Images are of all rows of a product.
  XRows from_row(std::int64_t first) const {
    XRows part = *this;
    part.data += first * stride * static_cast<std::int64_t>(sizeof(__nv_bfloat16));
    return part;
  }
  __device__ __nv_bfloat16* row(int n) const {
    return reinterpret_cast<__nv_bfloat16*>(data) + static_cast<std::int64_t>(n) * stride;
  }

  // Bytes to where row n begins, from 64 of its k to the next 64, and from there to k % 64 (in images: to
  // even ones; the next k lies behind it, and the two after those, if k is a multiple of 4, at the address ^
  // 16). Apart, because in a loop most of them stay.
  __device__ std::int64_t to_row(int n) const {
    if (!is_image()) return static_cast<std::int64_t>(n) * stride * 2;
    const int columns = 1 << column_bits;
    return ((static_cast<std::int64_t>(n >> column_bits) * (stride / 64) << column_bits) +
            (n & (columns - 1))) *
           kImageRow;
  }
  __device__ int a_step() const { return kImageRow << column_bits; }
  __device__ int to_k(int n, int k) const {
    const int within = k % 64;
    if (!is_image()) return within * 2;
    const int upper = within / 2 % 2;
    const int step = order == XOrder::kHalves ? within / 32 * 2 + within / 4 % 2 : within / 4 % 4;
    const int place = order == XOrder::kHalves ? within / 8 % 4 : within / 16;
    return ((2 * step + upper) ^ n % 8) * 16 + place * 4 + within % 2 * 2;
  }
  __device__ __nv_bfloat16* at(int n, int k) const {
    return reinterpret_cast<__nv_bfloat16*>(data + to_row(n) + static_cast<std::int64_t>(k / 64) * a_step() +
                                            to_k(n, k));
  }
};

}  // namespace pagoda::kernels::cuda

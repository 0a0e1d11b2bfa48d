#pragma once
// Weights in tiles of 16 rows, as linear_format.cuh reads them: where a row and a value lie. For the host,
// which packs them, and for the device.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace pagoda::kernels::cuda {

inline constexpr int kInt8Chunk = 64, kInt4Chunk = 128;  // values of a row in 64 bytes
inline constexpr int kTileChunkBytes = 1024;             // 64 bytes of 16 rows

// Row r of tile `tile`. With pairs, a tile is 8 rows and the 8 that lie out_features / 2 further down.
template <typename Int>
__host__ __device__ inline Int row_of_tile(bool pairs, Int out_features, Int tile, int r) {
  if (!pairs) return tile * 16 + r;
  return r < 8 ? tile * 8 + r : out_features / 2 + tile * 8 + r - 8;
}

// Bytes from the start of a tile to value k of row r.
__host__ __device__ inline std::int64_t int8_offset(std::int64_t k, int r) {
  return k / kInt8Chunk * kTileChunkBytes + r / 8 * 512 + (r % 8 * 4 + k % kInt8Chunk / 16) * 16 + k % 16;
}
// The same to the word of values k / 8 * 8 ... + 7, value k of which begins at bit int4_shift(k).
__host__ __device__ inline std::int64_t int4_word_offset(std::int64_t k, int r) {
  const std::int64_t e = k % kInt4Chunk;
  return k / kInt4Chunk * kTileChunkBytes + r / 8 * 512 + (r % 8 * 4 + e % 32 / 8) * 16 + e / 32 * 4;
}
__host__ __device__ inline int int4_shift(std::int64_t k) {
  return static_cast<int>(4 * (k % 8 / 2) + 16 * (k % 2));
}

}  // namespace pagoda::kernels::cuda

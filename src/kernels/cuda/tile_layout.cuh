#pragma once
// Weights in tiles of 16 rows, as linear_format.cuh reads them: where a row and a value lie. For the host,
// which packs them, and for the device. Eight tiles are a stack: a chunk of k of all eight lies in a row, and
// so do their scales of a group, so that linear_wide.cuh fetches each with one copy.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace pagoda::kernels::cuda {

inline constexpr int kInt8Chunk = 64, kInt4Chunk = 128;  // values of a row in 64 bytes
inline constexpr int kTileChunkBytes = 1024;             // 64 bytes of 16 rows
inline constexpr int kStackTiles = 8, kStackRows = 16 * kStackTiles;

// Which of the pieces in memory is that of tile `tile` and chunk or group `i` of `count`.
__host__ __device__ constexpr std::int64_t piece_of(std::int64_t tile, std::int64_t count, std::int64_t i) {
  return (tile / kStackTiles * count + i) * kStackTiles + tile % kStackTiles;
}
// INT4: groups of a row in memory, those of whole chunks; groups of more than a chunk are as many as there
// are.
constexpr std::int64_t stored_groups(std::int64_t in_features, std::int64_t group) {
  const std::int64_t whole = (in_features + kInt4Chunk - 1) / kInt4Chunk * kInt4Chunk;
  return (whole + group - 1) / group;
}
// How many tiles are in memory: whole stacks.
constexpr std::int64_t stacked_tiles(std::int64_t out_features) {
  return (out_features + kStackRows - 1) / kStackRows * kStackTiles;
}

// BF16 and FP8: rows in memory, those behind out_features are zero.
constexpr std::int64_t padded_rows(std::int64_t out_features) { return (out_features + 15) / 16 * 16; }

// Row r of tile `tile`. With pairs, a tile is 8 rows and the 8 that lie out_features / 2 further down.
template <typename Int>
__host__ __device__ inline Int row_of_tile(bool pairs, Int out_features, Int tile, int r) {
  if (!pairs) return tile * 16 + r;
  return r < 8 ? tile * 8 + r : out_features / 2 + tile * 8 + r - 8;
}

// The way back.
struct RowOfTile {
  std::int64_t tile;
  int row;
};
__host__ __device__ inline RowOfTile tile_of_row(bool pairs, std::int64_t out_features, std::int64_t row) {
  if (!pairs) return {row / 16, static_cast<int>(row % 16)};
  const std::int64_t half = out_features / 2, within = row < half ? row : row - half;
  return {within / 8, static_cast<int>(within % 8) + (row < half ? 0 : 8)};
}

// Bytes from the start of a tile's chunk to value k of row r, k from the start of the chunk.
__host__ __device__ inline int int8_offset(int k, int r) {
  return r / 8 * 512 + (r % 8 * 4 + k / 16) * 16 + k % 16;
}
// The same to the word of values k / 8 * 8 ... + 7, value k of which begins at bit int4_shift(k).
__host__ __device__ inline int int4_word_offset(int k, int r) {
  return r / 8 * 512 + (r % 8 * 4 + k % 32 / 8) * 16 + k / 32 * 4;
}
__host__ __device__ inline int int4_shift(std::int64_t k) {
  return static_cast<int>(4 * (k % 8 / 2) + 16 * (k % 2));
}

}  // namespace pagoda::kernels::cuda

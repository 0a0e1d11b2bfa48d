#include "kernels/cuda/rearrange.cuh"
#include "kernels/cuda/tile_layout.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kThreads = 256;
static_assert(kUnitInputs == kInt4Chunk);

// The chunk of the tile that holds input k.
__device__ std::byte* tile_chunk(const RearrangeArgs& p, RowOfTile at, std::int64_t k, int chunk) {
  return p.to + piece_of(at.tile, p.in_features / chunk, k / chunk) * kTileChunkBytes;
}
// Of the inputs k to k + 7.
__device__ void store_word(const RearrangeArgs& p, std::int64_t row, std::int64_t k, std::uint32_t word) {
  const RowOfTile at = tile_of_row(p.pairs, p.out_features, row);
  *reinterpret_cast<std::uint32_t*>(tile_chunk(p, at, k, kInt4Chunk) +
                                    int4_word_offset(static_cast<int>(k % kInt4Chunk), at.row)) = word;
}

// Eight nibbles from the low bits up, moved to int4_shift() of each: those of even inputs, then those of odd.
__device__ std::uint32_t in_pairs(std::uint32_t word) {
  const auto every_second = [](std::uint32_t nibbles) {
    nibbles = (nibbles | nibbles >> 4) & 0x00ff00ffu;
    return (nibbles | nibbles >> 8) & 0xffffu;
  };
  return every_second(word & 0x0f0f0f0fu) | every_second(word >> 4 & 0x0f0f0f0fu) << 16;
}

__global__ void rearrange_input_words(const RearrangeArgs p) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kThreads + threadIdx.x, eight = blockIdx.y;
  if (row >= p.rows) return;
  const std::uint32_t word = reinterpret_cast<const std::uint32_t*>(p.from)[eight * p.rows + row];
  store_word(p, p.first_row + row, p.first * kUnitInputs + eight * 8, in_pairs(word));
}

__global__ void rearrange_output_words(const RearrangeArgs p) {
  const std::int64_t words = p.rows / 8, of_row = std::int64_t{blockIdx.x} * kThreads + threadIdx.x,
                     eight = blockIdx.y;
  if (of_row >= words) return;
  std::uint32_t in[8];
#pragma unroll
  for (int j = 0; j < 8; ++j)
    in[j] = reinterpret_cast<const std::uint32_t*>(p.from)[(eight * 8 + j) * words + of_row];
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const int nibble = r % 2 * 4 + r / 2;  // which holds row r
    std::uint32_t out = 0;
#pragma unroll
    for (int j = 0; j < 8; ++j) out |= (in[j] >> 4 * nibble & 15u) << int4_shift(j);
    store_word(p, p.first_row + of_row * 8 + r, p.first * kUnitInputs + eight * 8, out);
  }
}

__global__ void rearrange_int4_rows(const RearrangeArgs p) {
  const std::int64_t row = blockIdx.x, words = p.in_features / 8;
  const auto* from = reinterpret_cast<const std::uint32_t*>(p.from) + row * words;
  for (std::int64_t i = threadIdx.x; i < words; i += kThreads)
    store_word(p, p.first_row + p.first + row, i * 8, in_pairs(from[i]));
}

// Bytes, of which tiles hold the value + 128.
__global__ void rearrange_int8_rows(const RearrangeArgs p) {
  const std::int64_t row = blockIdx.x;
  const RowOfTile at = tile_of_row(p.pairs, p.out_features, p.first_row + p.first + row);
  const auto* from = reinterpret_cast<const uint4*>(p.from + row * p.in_features);
  constexpr std::uint32_t kSigns = 0x80808080u;
  for (std::int64_t k = threadIdx.x * 16; k < p.in_features; k += kThreads * 16) {
    const uint4 v = from[k / 16];
    *reinterpret_cast<uint4*>(tile_chunk(p, at, k, kInt8Chunk) +
                              int8_offset(static_cast<int>(k % kInt8Chunk), at.row)) =
        make_uint4(v.x ^ kSigns, v.y ^ kSigns, v.z ^ kSigns, v.w ^ kSigns);
  }
}

}  // namespace

void launch_rearrange(const RearrangeArgs& args, cudaStream_t stream) {
  const auto blocks = [](std::int64_t threads) {
    return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  };
  const auto units = static_cast<unsigned>(args.count);
  const unsigned eights = units * static_cast<unsigned>(kUnitInputs / 8);
  switch (args.order) {
    case StoredIntegers::Order::kInputWords:
      rearrange_input_words<<<dim3(blocks(args.rows), eights), kThreads, 0, stream>>>(args);
      break;
    case StoredIntegers::Order::kOutputWords:
      rearrange_output_words<<<dim3(blocks(args.rows / 8), eights), kThreads, 0, stream>>>(args);
      break;
    case StoredIntegers::Order::kRows:
      if (args.format == WeightFormat::kInt4)
        rearrange_int4_rows<<<units, kThreads, 0, stream>>>(args);
      else
        rearrange_int8_rows<<<units, kThreads, 0, stream>>>(args);
      break;
  }
  CUDA_CHECK(cudaGetLastError());
}

}  // namespace pagoda::kernels::cuda

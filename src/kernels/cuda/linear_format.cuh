#pragma once
// The weight formats of the linear kernels: where a lane finds its 16 bytes of a row, which k they are, and
// how they become bf16 fragments. A tile is 16 rows of W; a chunk is 64 bytes of each of them (of BF16
// 128).
//
//   BF16, FP8   row-major [out, in], as the library GEMM wants them
//   INT8, INT4  [stack of 8 tiles][chunk][tile][half of the tile: 8 rows][lane][16 bytes], rows padded to
//   whole
//               stacks, k to whole chunks (tile_layout.cuh)
//
// INT4: word i (of 4) of lane c holds k = 32 i + 8 c ... + 7 of the chunk; the pair (2j, 2j+1) of them lies
// in bits 4j and 16 + 4j, so that one shift and one three-input operation make two bf16 of 128 + value. The
// 128 and the zero point are taken off afterwards, as their product with the sum of x over the group.

#include "kernels/cuda/linear_args.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

__device__ __forceinline__ std::uint32_t word(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}
__device__ __forceinline__ uint4 load_16(const void* address) { return *static_cast<const uint4*>(address); }

// Tiles an SM, when there is no bound.
inline constexpr int kAnyTiles = 1 << 30;

// Rows g and g + 8 of a tile, 16 bytes each.
struct TileRaw {
  uint4 low, high;
};
__device__ __forceinline__ TileRaw read_tile(const std::byte* chunk, int lane) {
  return {load_16(chunk + lane * 16), load_16(chunk + 512 + lane * 16)};
}

// A format's Cursor is where a lane finds its bytes of MT neighbouring tiles, the first of which is even if
// there are two, from a first chunk on: load() takes those of tile i and of the chunk that lies `ahead`
// further.

// Row-major, kBytes a k and kParts times 64 bytes of a row a chunk. Behind the end of a row comes another, or
// what pack.cc has left free: x is zero there.
template <int kBytes, int kParts>
struct RowMajor {
  static constexpr int kChunk = kParts * 64 / kBytes;
  struct Raw {
    TileRaw of[kParts];
  };
  // Where row `of_tile_row` of a tile begins, and from there byte `byte` of a chunk.
  static __device__ __forceinline__ const std::byte* at(const WeightView& w, int tile, int of_tile_row,
                                                        int chunk, int byte) {
    const int row = min(w.row_of(tile, of_tile_row), w.out_features - 1);
    return w.data + (static_cast<std::int64_t>(row) * w.in_features + chunk * kChunk) * kBytes + byte;
  }
  template <int MT>
  struct Cursor {
    const std::byte *low[MT], *high[MT];

    __device__ __forceinline__ Cursor(const WeightView& w, int tile, int chunk, int lane) {
      const int g = lane / 4, byte = lane % 4 * 16;
      for (int i = 0; i < MT; ++i) {
        low[i] = at(w, tile + i, g, chunk, byte);
        high[i] = at(w, tile + i, g + 8, chunk, byte);
        work_out(low[i]);
        work_out(high[i]);
      }
    }
  };
  template <int MT>
  static __device__ __forceinline__ Raw load(const WeightView&, const Cursor<MT>& from, int i, int ahead) {
    Raw raw;
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const int byte = (ahead * kParts + part) * 64;
      raw.of[part] = {load_stream(from.low[i] + byte), load_stream(from.high[i] + byte)};
    }
    return raw;
  }
};

// Tiles of chunks of kChunk values, of which there are whole stacks in memory.
template <int kChunk>
struct TileCursor {
  const std::byte* data;

  __device__ __forceinline__ TileCursor(const WeightView& w, int tile, int chunk, int lane) {
    const int chunks = (w.in_features + kChunk - 1) / kChunk;
    data = w.data + piece_of(tile, chunks, chunk) * kTileChunkBytes + lane * 16;
    work_out(data);
  }
  __device__ __forceinline__ TileRaw load(int i, int ahead) const {
    const std::byte* at = data + ahead * (kStackTiles * kTileChunkBytes) + i * kTileChunkBytes;
    return {load_stream(at), load_stream(at + 512)};
  }
};

// Of x a lane multiplies kXPieces pieces of 8 elements a chunk, for each of NT rows: multiply() asks for them
// as x(piece, j). In memory they lie x_piece(piece) elements from the lane's first, which is kXLane behind
// that of the lane of the quad before.

// A chunk is 128 bytes of a row, so that what a warp copies in one instruction are four whole lines of L2,
// not eight halves: with halves L2 has no time left before memory has.
struct Bf16Format : RowMajor<2, 2> {
  static constexpr int kXLane = 8, kXPieces = 2;
  static __device__ constexpr int x_piece(int piece) { return piece * 32; }
  // As measured on an H200. For up to 8 rows: chunks a warp has under way with three blocks an SM, with two
  // (where x is fetched ahead, and where not), and with one, for rows so long that they are used (0: not
  // worth it); blocks of two tiles an SM, their chunks under way, and how many tiles an SM they are faster
  // for; rows of x up to which x is fetched ahead too, and whether the scales of more rows than those are
  // added up late. kManyDepth: chunks with more rows. Blocks that leave room in shared memory for one of the
  // next kernel are worth more than chunks under way.
  static constexpr int kDepth = 2, kDepthAlone = 8, kManyDepth = 2;
  template <bool kXAhead>
  static constexpr int kDepthOfTwo = 3;
  static constexpr int kTallTiles = 0;
  static constexpr int kRowsAhead = 8;
  static constexpr bool kScalesLate = false;

  // By way of shared memory: rows of 8 pieces of 16 bytes, each row's in an order of its own, so that neither
  // the four rows of a copy nor the eight of a read meet on a bank.
  static constexpr int kRingChunk = 128;  // of 16 bytes, a tile; 0 of formats that go to registers
  static __device__ __forceinline__ int place(int row, int piece) {
    return row * 8 + (piece ^ ((row & 1) << 2 | (row >> 1 & 3)));
  }
  template <int MT>
  struct RingCursor {
    const std::byte* rows[MT][4];

    __device__ __forceinline__ RingCursor(const WeightView& w, int tile, int chunk, int lane) {
      for (int i = 0; i < MT; ++i)
        for (int j = 0; j < 4; ++j) {
          rows[i][j] = at(w, tile + i, j * 4 + lane / 8, chunk, lane % 8 * 16);
          work_out(rows[i][j]);
        }
    }
  };
  template <int MT>
  static __device__ __forceinline__ void copy(const RingCursor<MT>& from, int i, int ahead, uint4* to,
                                              int lane) {
#pragma unroll
    for (int j = 0; j < 4; ++j)
      stream_16_async(to + place(j * 4 + lane / 8, lane % 8), from.rows[i][j] + ahead * 128);
  }
  static __device__ __forceinline__ Raw read(const uint4* from, int lane) {
    const int g = lane / 4, c = lane % 4;
    return {{{from[place(g, c)], from[place(g + 8, c)]}, {from[place(g, c + 4)], from[place(g + 8, c + 4)]}}};
  }

  template <int MT, int NT, typename X>
  static __device__ __forceinline__ void multiply(const Raw (&raw)[MT], X x, float (&sum)[MT][NT][4]) {
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      uint4 b[NT];
      for (int j = 0; j < NT; ++j) b[j] = x(part, j);
#pragma unroll
      for (int i = 0; i < MT; ++i) {
        const auto& [low, high] = raw[i].of[part];
        const std::uint32_t first[4] = {low.x, high.x, low.y, high.y};
        const std::uint32_t second[4] = {low.z, high.z, low.w, high.w};
        for (int j = 0; j < NT; ++j) {
          mma_bf16(sum[i][j], first, b[j].x, b[j].y);
          mma_bf16(sum[i][j], second, b[j].z, b[j].w);
        }
      }
    }
  }
};

// e4m3 to bf16: the bits moved to bf16's places read as the value / 2^120, subnormals included.
struct DecodeE4m3 {
  static __device__ __forceinline__ std::uint32_t pair(std::uint32_t high_bytes) {  // bytes 1 and 3
    const std::uint32_t bits = (high_bytes & 0x80008000u) | ((high_bytes & 0x7f007f00u) >> 4);
    const std::uint32_t scale = 0x7b807b80u;  // 2^120
    const __nv_bfloat162 value = __hmul2(reinterpret_cast<const __nv_bfloat162&>(bits),
                                         reinterpret_cast<const __nv_bfloat162&>(scale));
    return reinterpret_cast<const std::uint32_t&>(value);
  }
  static __device__ __forceinline__ void words(std::uint32_t w, std::uint32_t& first, std::uint32_t& second) {
    // Bytes (0, 1) and (2, 3), each moved to the upper byte of a half.
    first = pair(__byte_perm(w, 0, 0x1404));
    second = pair(__byte_perm(w, 0, 0x3424));
  }
};

// Signed bytes, stored + 128: a float with the byte as the last bits of its fraction is 2^23 + byte.
struct DecodeInt8 {
  static __device__ __forceinline__ float value(std::uint32_t w, std::uint32_t selector) {
    return __uint_as_float(__byte_perm(w, 0x4b000000u, selector)) - 8388736.0f;
  }
  static __device__ __forceinline__ void words(std::uint32_t w, std::uint32_t& first, std::uint32_t& second) {
    first = pack_bf16(value(w, 0x7540), value(w, 0x7541));
    second = pack_bf16(value(w, 0x7542), value(w, 0x7543));
  }
};

// Formats of one byte: word i of a lane's 16 bytes holds four k, a step of a tensor core instruction.
template <typename Decode>
__device__ __forceinline__ void fragment_of_bytes(const TileRaw& raw, int i, std::uint32_t (&a)[4]) {
  Decode::words(word(raw.low, i), a[0], a[2]);
  Decode::words(word(raw.high, i), a[1], a[3]);
}

template <typename Decode, int MT, int NT, typename X>
__device__ __forceinline__ void multiply_bytes(const TileRaw (&raw)[MT], X x, float (&sum)[MT][NT][4]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint4 b[NT];
    for (int j = 0; j < NT; ++j) b[j] = x(half, j);
#pragma unroll
    for (int i = 0; i < MT; ++i) {
      std::uint32_t first[4], second[4];
      fragment_of_bytes<Decode>(raw[i], 2 * half, first);
      fragment_of_bytes<Decode>(raw[i], 2 * half + 1, second);
      for (int j = 0; j < NT; ++j) {
        mma_bf16(sum[i][j], first, b[j].x, b[j].y);
        mma_bf16(sum[i][j], second, b[j].z, b[j].w);
      }
    }
  }
}

struct Fp8Format : RowMajor<1, 1> {
  static constexpr int kRingChunk = 0;
  static constexpr int kXLane = 16, kXPieces = 2;
  static __device__ constexpr int x_piece(int piece) { return piece * 8; }
  static constexpr int kDepth = 3, kDepthAlone = 0, kManyDepth = 3, kRowsAhead = 4;
  template <bool kXAhead>
  static constexpr int kDepthOfTwo = kXAhead ? 5 : 6;
  static constexpr int kTallBlocks = 3, kTallDepth = 2, kTallTiles = 6;
  static constexpr bool kScalesLate = true;
  template <int MT, int NT, typename X>
  static __device__ __forceinline__ void multiply(const Raw (&raw)[MT], X x, float (&sum)[MT][NT][4]) {
    TileRaw tiles[MT];
    for (int i = 0; i < MT; ++i) tiles[i] = raw[i].of[0];
    multiply_bytes<DecodeE4m3, MT, NT>(tiles, x, sum);
  }
};

struct Int8Format {
  static constexpr int kChunk = kInt8Chunk;
  static constexpr int kXLane = 16, kXPieces = 2;
  static __device__ constexpr int x_piece(int piece) { return piece * 8; }
  static constexpr int kDepth = 4, kDepthAlone = 0, kManyDepth = 4, kRowsAhead = 4;
  template <bool>
  static constexpr int kDepthOfTwo = 6;
  static constexpr int kRingChunk = 0;
  static constexpr bool kScalesLate = true;
  static constexpr int kTallBlocks = 3, kTallDepth = 2, kTallTiles = kAnyTiles;
  using Raw = TileRaw;
  template <int MT>
  using Cursor = TileCursor<kChunk>;
  template <int MT>
  static __device__ __forceinline__ Raw load(const WeightView&, const Cursor<MT>& from, int i, int ahead) {
    return from.load(i, ahead);
  }
  template <int MT, int NT, typename X>
  static __device__ __forceinline__ void multiply(const Raw (&raw)[MT], X x, float (&sum)[MT][NT][4]) {
    multiply_bytes<DecodeInt8, MT, NT>(raw, x, sum);
  }
};

// One scale (and zero point) a group of kGroupWords * 32 inputs; kGroupWords is 4 for groups of whole chunks,
// or 1.
template <int kGroupWords, bool kZeros>
struct Int4Format {
  static constexpr int kChunk = kInt4Chunk;
  static constexpr int kXLane = 8, kXPieces = 4;
  static __device__ constexpr int x_piece(int piece) { return piece * 32; }
  static constexpr int kDepth = 2, kDepthAlone = 0, kManyDepth = 2, kRowsAhead = 4;
  template <bool>
  static constexpr int kDepthOfTwo = kGroupWords == 4 ? 4 : 2;
  static constexpr int kRingChunk = 0;
  static constexpr bool kScalesLate = false;
  static constexpr int kTallBlocks = 3, kTallDepth = 1, kTallTiles = kGroupWords == 4 ? kAnyTiles : 0;
  static constexpr int kGroups = 4 / kGroupWords;  // of a chunk
  struct Raw : TileRaw {
    std::uint16_t scale_low[kGroups], scale_high[kGroups], zero_low[kGroups], zero_high[kGroups];
    __device__ float scale(int group, bool high) const {
      return __half2float(reinterpret_cast<const __half&>(high ? scale_high[group] : scale_low[group]));
    }
    // What the values are too large by. Symmetric: 136 = 128 + 8.
    __device__ float bias(int group, bool high) const {
      return kZeros ? __uint_as_float((high ? zero_high[group] : zero_low[group]) << 16) : 136.0f;
    }
  };

  // Of the 16 rows of a tile: where the scales and zero points of the chunk's groups lie, `stride` apart.
  static __device__ __forceinline__ void read_groups(const std::uint16_t* scales, const std::uint16_t* zeros,
                                                     int stride, int g, Raw& raw) {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      raw.scale_low[i] = scales[i * stride + g];
      raw.scale_high[i] = scales[i * stride + g + 8];
      if constexpr (kZeros) {
        raw.zero_low[i] = zeros[i * stride + g];
        raw.zero_high[i] = zeros[i * stride + g + 8];
      }
    }
  }
  // The first group of a chunk. There are as many groups in memory as whole chunks have.
  static __device__ __forceinline__ int group_of(const WeightView& w, int chunk) {
    return kGroupWords == 4 ? chunk >> w.group_shift : chunk * kGroups;
  }
  template <int MT>
  struct Cursor {
    TileCursor<kChunk> tiles;
    int first;  // chunk
    const std::uint16_t *scales, *zeros;

    __device__ __forceinline__ Cursor(const WeightView& w, int tile, int chunk, int lane)
        : tiles(w, tile, chunk, lane), first(chunk) {
      const std::int64_t at = piece_of(tile, w.groups, 0) * 16 + lane / 4;
      scales = w.group_scales + at;
      zeros = w.group_zeros + at;
      work_out(scales);
      if constexpr (kZeros) work_out(zeros);
    }
  };
  template <int MT>
  static __device__ __forceinline__ Raw load(const WeightView& w, const Cursor<MT>& from, int i, int ahead) {
    Raw raw;
    static_cast<TileRaw&>(raw) = from.tiles.load(i, ahead);
    const int at = group_of(w, from.first + ahead) * kStackRows + i * 16;
    read_groups(from.scales + at, from.zeros + at, kStackRows, 0, raw);
    return raw;
  }
  static __device__ __forceinline__ std::uint32_t pair(std::uint32_t w, int j) {
    std::uint32_t
        bits;  // (w >> 4 j) & 0x000f000f | 0x43004300: written so, the compiler makes two of the one
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(bits) : "r"(w >> (4 * j)), "n"(0x000f000f), "r"(0x43004300));
    return bits;
  }
  template <int MT, int NT, typename X>
  static __device__ __forceinline__ void multiply(const Raw (&raw)[MT], X x, float (&sum)[MT][NT][4]) {
    constexpr std::uint32_t kOnes[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float part[MT][NT][4] = {}, x_sum[NT][4] = {};
#pragma unroll
      for (int i = group * kGroupWords; i < (group + 1) * kGroupWords; ++i) {
        uint4 b[NT];
        for (int j = 0; j < NT; ++j) {
          b[j] = x(i, j);
          mma_bf16(x_sum[j], kOnes, b[j].x, b[j].y);
          mma_bf16(x_sum[j], kOnes, b[j].z, b[j].w);
        }
#pragma unroll
        for (int t = 0; t < MT; ++t) {
          const std::uint32_t low = word(raw[t].low, i), high = word(raw[t].high, i);
          const std::uint32_t first[4] = {pair(low, 0), pair(high, 0), pair(low, 1), pair(high, 1)};
          const std::uint32_t second[4] = {pair(low, 2), pair(high, 2), pair(low, 3), pair(high, 3)};
          for (int j = 0; j < NT; ++j) {
            mma_bf16(part[t][j], first, b[j].x, b[j].y);
            mma_bf16(part[t][j], second, b[j].z, b[j].w);
          }
        }
      }
#pragma unroll
      for (int t = 0; t < MT; ++t)
        for (int j = 0; j < NT; ++j)
          for (int e = 0; e < 4; ++e)
            sum[t][j][e] +=
                raw[t].scale(group, e >= 2) * (part[t][j][e] - raw[t].bias(group, e >= 2) * x_sum[j][e % 2]);
    }
  }
};

}  // namespace pagoda::kernels::cuda

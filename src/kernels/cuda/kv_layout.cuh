#pragma once
// Where keys and values lie inside a block: in the order of tensor core fragments (mma.cuh), so that
// attention loads 16 bytes a lane (8 of FP8 or INT8) and shuffles nothing. A block is [kv_head][K: pages | V:
// pages], a page holds 16 tokens:
//   K  [token / 8][dim / 32][lane][2 steps of 16 dims][4]   the B operand of q k^T: columns are tokens
//   V  [dim / 16][lane][2 tiles of 8 dims][4]               the B operand of p v: k are tokens
// with 4 values of k in the order 2c, 2c+1, 2c+8, 2c+9 of lane (g, c). Behind FP8 (e4m3) and INT8 (value +
// 128) stand the scales of the 16 tokens, as floats.

#include <cstddef>
#include <cstdint>

#include "kernels/kv_cache.h"

namespace pagoda::kernels::cuda {

inline constexpr int kPageTokens = 16;

__host__ __device__ constexpr int kv_scales_offset(int head_dim) { return kPageTokens * head_dim; }
__host__ __device__ constexpr int kv_page_bytes(KvFormat format, int head_dim) {
  return format == KvFormat::kBF16
             ? kPageTokens * head_dim * 2
             : kv_scales_offset(head_dim) + kPageTokens * static_cast<int>(sizeof(float));
}

// Elements from the start of a page; from dim d to d + 32 of the same token. Unsigned: a division is a shift
// then.
__host__ __device__ inline int key_offset(unsigned token, unsigned dim, unsigned head_dim) {
  const unsigned g = token % 8, tile = token / 8, e = dim % 16, c = e % 8 / 2;
  return static_cast<int>((((tile * (head_dim / 32) + dim / 32) * 32 + g * 4 + c) * 2 + dim % 32 / 16) * 4 +
                          e / 8 * 2 + e % 2);
}
__host__ __device__ inline int value_offset(unsigned token, unsigned dim, unsigned /*head_dim*/) {
  const unsigned c = token % 8 / 2, g = dim % 8;
  return static_cast<int>(((dim / 16 * 32 + g * 4 + c) * 2 + dim % 16 / 8) * 4 + token / 8 * 2 + token % 2);
}
inline constexpr int kKeyStep = 32 * 2 * 4, kValueStep = 2 * kKeyStep;

// The KV memory of one layer, as kernels address it.
struct KvView {
  std::byte* data = nullptr;  // [blocks][kv_heads][2][pages][page_bytes]
  std::int64_t block_bytes = 0;
  KvFormat format = KvFormat::kBF16;
  int page_bytes = 0;
  int kv_heads = 0, head_dim = 0;
  int page_bits = 0;  // log2 of the pages of a block

  __device__ int block_of(int page_index) const { return page_index >> page_bits; }
  __device__ std::byte* page_of(std::int32_t block, int page_index, int kv_head, bool value) const {
    const int in_block =
        ((kv_head * 2 + (value ? 1 : 0)) << page_bits) + (page_index & ((1 << page_bits) - 1));
    return data + block * block_bytes + static_cast<std::int64_t>(in_block) * page_bytes;
  }
  __device__ std::byte* page(const std::int32_t* block_table, int page_index, int kv_head, bool value) const {
    return page_of(block_table[block_of(page_index)], page_index, kv_head, value);
  }
};

}  // namespace pagoda::kernels::cuda

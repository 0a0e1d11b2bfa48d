#pragma once
// The paged KV cache as kernels see it: one allocation, cut into layers and blocks. A block holds the keys
// and values of block_size consecutive tokens of one sequence, for all KV heads of one layer. Inside a block
// the layout belongs to the backend. Who owns which block is decided by cache/, never here.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pagoda::kernels {

// What keys and values are kept as. kFp8 (e4m3) and kInt8 have a scale a token and head beside them.
enum class KvFormat { kBF16, kFp8, kInt8 };

struct KvShape {
  std::int64_t num_layers = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t block_size = 0;  // tokens, a power of two from 8 to 512
  KvFormat format = KvFormat::kBF16;
};

struct KvCache {
  KvShape shape;
  std::int64_t num_blocks = 0;
  std::size_t layer_block_bytes = 0;  // Ops::kv_layer_block_bytes(shape)
  std::byte* data = nullptr;          // [num_layers, num_blocks, layer_block_bytes]

  std::byte* block(std::int64_t layer, std::int32_t block) const {
    return data + (static_cast<std::size_t>(layer) * num_blocks + block) * layer_block_bytes;
  }
};

// One sequence's part of a step: query rows [first_row, first_row + num_queries) of the batch are its tokens
// at positions [context - num_queries, context).
struct SequenceSlice {
  std::int32_t first_row = 0;
  std::int32_t num_queries = 0;
  std::int32_t context = 0;                   // tokens in the cache after this step's are written
  const std::int32_t* block_table = nullptr;  // ceil(context / block_size) block ids
};

// Of a table, in SequenceBatch::first_blocks: as many as the first part of a context that attention works on
// has pages.
inline constexpr std::int32_t kFirstBlocks = 16;

// Of one table, which begins at block_ids[begin], to to[0] ... What lies behind a shorter table is copied
// too, where there is something, and is never read.
inline void copy_first_blocks(std::span<const std::int32_t> block_ids, std::size_t begin, std::int32_t* to) {
  const auto table = block_ids.subspan(begin);
  std::ranges::copy(table.first(std::min<std::size_t>(table.size(), kFirstBlocks)), to);
}

}  // namespace pagoda::kernels

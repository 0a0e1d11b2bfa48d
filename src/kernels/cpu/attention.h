#pragma once
// Paged attention on the CPU, for decodes and prefill chunks alike: an item is a tile of query tokens of one
// sequence and one KV head; its rows (tokens x query heads of the group) walk the cache in tiles of kKvTile
// tokens with an online softmax. Tiles are aligned to absolute positions, so a row's arithmetic does not
// depend on chunking or block size.

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/panel.h"
#include "kernels/ops.h"

namespace pagoda::kernels::cpu {

inline constexpr std::int64_t kKvTile = 64;
// Rows of a tile: queries, scores and sums of 48 rows of 128 are some 70 KiB, well inside L2, and 48 = 4 x 12
// fills the rows of the AVX-512 tiles.
inline constexpr std::int64_t kQueryRows = 48;

// Scratch of one thread, carved from memory reserved before the first step.
struct AttentionScratch {
  static std::size_t bytes(const OpsLimits& limits);
  AttentionScratch(std::byte* memory, const AttentionArgs& args, const KvShape& shape);

  std::byte* q;  // [rows, head_dim] as the kernel wants it
  std::size_t q_stride;
  float* scores;       // [rows, kKvTile]
  std::uint16_t* p;    // [rows, kKvTile] BF16
  float* out;          // [rows, head_dim]
  float* max;          // [rows]
  float* total;        // [rows]
  std::byte* staging;  // the key panels of a tile, for blocks narrower than a panel
};

class AttentionPlan {
 public:
  AttentionPlan(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                std::span<const SequenceSlice> sequences);
  std::size_t num_items() const { return num_items_; }
  void run(std::size_t item, const PanelKernels& kernels, AttentionScratch& scratch) const;

 private:
  struct Tile {
    const SequenceSlice* sequence;
    std::int64_t head;         // KV head
    std::int32_t first_query;  // within the slice
    std::int32_t num_queries;
  };
  Tile locate(std::size_t item) const;
  void load_queries(const Tile& tile, const PanelKernels& kernels, AttentionScratch& scratch) const;
  const std::byte* join_keys(const Tile& tile, std::int64_t position, std::int64_t tokens,
                             std::byte* panel) const;
  void score(const Tile& tile, std::int64_t first, std::int64_t tokens, const PanelKernels& kernels,
             AttentionScratch& scratch) const;
  void weigh_values(const Tile& tile, std::int64_t first, std::int64_t tokens, const PanelKernels& kernels,
                    AttentionScratch& scratch) const;
  const std::byte* block_of(const Tile& tile, std::int64_t position) const;

  const AttentionArgs& args_;
  const KvCache& cache_;
  std::int64_t layer_;
  std::span<const SequenceSlice> sequences_;
  KvLayout layout_;
  std::int64_t group_;  // query heads of a KV head
  std::int32_t tokens_per_tile_;
  std::size_t num_items_ = 0;
};

}  // namespace pagoda::kernels::cpu

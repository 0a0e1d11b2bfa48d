#pragma once
// KV blocks of sequences: allocated as they grow, shared where prefixes are equal, kept after the sequence is
// gone until somebody needs the room. Host only; owned by the engine thread.
//
// A block is sealed when all its tokens are computed; only sealed blocks are shared, and a sealed block never
// changes.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/block_pool.h"
#include "cache/prefix_hash.h"

namespace pagoda::cache {

// The blocks of one sequence, in order. Filled and emptied by BlockCache alone.
struct BlockTable {
  std::vector<BlockId> blocks;
  std::int32_t sealed = 0;  // leading blocks that are sealed
  PrefixHash hash;          // of the sealed blocks
};

class BlockCache {
 public:
  // block_size in tokens. Without prefix caching nothing is shared or kept.
  BlockCache(std::int32_t num_blocks, std::int32_t block_size, bool prefix_caching);

  // Starts a table with the longest run of cached blocks that `tokens` begins with, but leaves at least one
  // token to compute. Returns the number of tokens found.
  std::int32_t start(BlockTable& table, std::span<const std::int32_t> tokens, std::uint64_t salt);
  // Takes start() back, counters included: its `tokens` tokens have to wait. Else a request that is tried
  // again in each step would drown the hit rate.
  void undo_start(BlockTable& table, std::int32_t tokens);
  // Room for `tokens` tokens in total: all or nothing. False if not enough blocks are free or idle.
  bool grow(BlockTable& table, std::int32_t tokens);
  // The first `computed` of `tokens` are in the cache now: full blocks are sealed.
  void seal(BlockTable& table, std::span<const std::int32_t> tokens, std::int32_t computed);
  void release(BlockTable& table);

  std::int32_t block_size() const { return block_size_; }
  std::int32_t blocks_for(std::int32_t tokens) const { return (tokens + block_size_ - 1) / block_size_; }
  // Blocks that grow() can hand out.
  std::int32_t available() const { return pool_.free() + pool_.idle(); }
  const BlockPool& pool() const { return pool_; }

  struct Counters {
    std::int64_t prefix_queries_tokens = 0;  // tokens asked for by start()
    std::int64_t prefix_hits_tokens = 0;     // of these, found
    std::int64_t evictions = 0;
  };
  const Counters& counters() const { return counters_; }

  // Aborts if pool and index disagree, or references are not those of `tables`.
  void check_invariants(std::span<const BlockTable* const> tables) const;

 private:
  void forget(BlockId block);

  BlockPool pool_;
  std::int32_t block_size_;
  bool prefix_caching_;
  std::unordered_map<PrefixHash, BlockId> index_;
  std::vector<PrefixHash> indexed_as_;  // by block; meaningful if is_indexed_
  std::vector<bool> is_indexed_;
  Counters counters_;
};

}  // namespace pagoda::cache

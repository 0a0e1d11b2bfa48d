#include "cache/block_cache.h"

#include "base/check.h"

namespace pagoda::cache {

BlockCache::BlockCache(std::int32_t num_blocks, std::int32_t block_size, bool prefix_caching)
    : pool_(num_blocks),
      block_size_(block_size),
      prefix_caching_(prefix_caching),
      indexed_as_(num_blocks),
      is_indexed_(num_blocks) {}

std::int32_t BlockCache::start(BlockTable& table, std::span<const std::int32_t> tokens, std::uint64_t salt) {
  CHECK(table.blocks.empty());
  table.sealed = 0;
  table.hash = prefix_root(salt);
  if (!prefix_caching_) return 0;
  counters_.prefix_queries_tokens += static_cast<std::int64_t>(tokens.size());
  while ((table.sealed + 1) * block_size_ < static_cast<std::int32_t>(tokens.size())) {
    const PrefixHash hash =
        prefix_extend(table.hash, tokens.subspan(table.sealed * block_size_, block_size_));
    const auto found = index_.find(hash);
    if (found == index_.end()) break;
    pool_.retain(found->second);
    table.blocks.push_back(found->second);
    table.hash = hash;
    ++table.sealed;
  }
  counters_.prefix_hits_tokens += table.sealed * block_size_;
  return table.sealed * block_size_;
}

void BlockCache::undo_start(BlockTable& table, std::int32_t tokens) {
  if (prefix_caching_) {
    counters_.prefix_queries_tokens -= tokens;
    counters_.prefix_hits_tokens -= table.sealed * block_size_;
  }
  release(table);
}

bool BlockCache::grow(BlockTable& table, std::int32_t tokens) {
  const std::int32_t missing = blocks_for(tokens) - static_cast<std::int32_t>(table.blocks.size());
  if (missing > available()) return false;
  for (std::int32_t i = 0; i < missing; ++i) {
    const BlockPool::Allocation allocation = *pool_.allocate();
    if (allocation.evicted) {
      forget(allocation.block);
      ++counters_.evictions;
    }
    table.blocks.push_back(allocation.block);
  }
  return true;
}

void BlockCache::seal(BlockTable& table, std::span<const std::int32_t> tokens, std::int32_t computed) {
  if (!prefix_caching_) return;
  while ((table.sealed + 1) * block_size_ <= computed) {
    const BlockId block = table.blocks[table.sealed];
    table.hash = prefix_extend(table.hash, tokens.subspan(table.sealed * block_size_, block_size_));
    // Two sequences may compute the same prefix at the same time; the first to finish gives its block to the
    // index.
    if (index_.try_emplace(table.hash, block).second) {
      indexed_as_[block.value] = table.hash;
      is_indexed_[block.value] = true;
    }
    ++table.sealed;
  }
}

void BlockCache::release(BlockTable& table) {
  // Last block first: the ends of prefixes are evicted before their beginnings, which more requests share.
  for (auto block = table.blocks.rbegin(); block != table.blocks.rend(); ++block)
    pool_.release(*block, /*keep=*/is_indexed_[block->value]);
  table = {};
}

void BlockCache::forget(BlockId block) {
  CHECK(is_indexed_[block.value]);
  index_.erase(indexed_as_[block.value]);
  is_indexed_[block.value] = false;
}

void BlockCache::check_invariants(std::span<const BlockTable* const> tables) const {
  pool_.check_invariants();
  std::vector<std::int32_t> references(pool_.total());
  for (const BlockTable* table : tables)
    for (const BlockId block : table->blocks) ++references[block.value];
  std::size_t indexed = 0;
  for (std::int32_t i = 0; i < pool_.total(); ++i) {
    CHECK(pool_.references(BlockId(i)) == references[i]);
    CHECK(!pool_.is_idle(BlockId(i)) || is_indexed_[i]);
    if (!is_indexed_[i]) continue;
    ++indexed;
    const auto found = index_.find(indexed_as_[i]);
    CHECK(found != index_.end() && found->second == BlockId(i));
  }
  CHECK(indexed == index_.size());
}

}  // namespace pagoda::cache

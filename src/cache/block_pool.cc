#include "cache/block_pool.h"

#include "base/check.h"

namespace pagoda::cache {

BlockPool::BlockPool(std::int32_t num_blocks) : blocks_(num_blocks) {
  free_.reserve(num_blocks);
  for (std::int32_t block = num_blocks; block-- > 0;) free_.push_back(block);
}

std::optional<BlockPool::Allocation> BlockPool::allocate() {
  Allocation allocation;
  if (!free_.empty()) {
    allocation.block = BlockId(free_.back());
    free_.pop_back();
  } else if (oldest_ != kNone) {
    allocation = {BlockId(oldest_), /*evicted=*/true};
    unlink(oldest_);
  } else {
    return std::nullopt;
  }
  blocks_[allocation.block.value].references = 1;
  return allocation;
}

void BlockPool::retain(BlockId block) {
  Block& state = blocks_[block.value];
  CHECK(state.references > 0 || state.idle);
  if (state.idle) unlink(block.value);
  ++state.references;
}

void BlockPool::release(BlockId block, bool keep) {
  Block& state = blocks_[block.value];
  CHECK(state.references > 0);
  if (--state.references > 0) return;
  if (keep)
    link_newest(block.value);
  else
    free_.push_back(block.value);
}

void BlockPool::link_newest(std::int32_t block) {
  Block& state = blocks_[block];
  state.idle = true;
  state.older = newest_;
  state.newer = kNone;
  (newest_ == kNone ? oldest_ : blocks_[newest_].newer) = block;
  newest_ = block;
  ++idle_;
}

void BlockPool::unlink(std::int32_t block) {
  Block& state = blocks_[block];
  (state.newer == kNone ? newest_ : blocks_[state.newer].older) = state.older;
  (state.older == kNone ? oldest_ : blocks_[state.older].newer) = state.newer;
  state.idle = false;
  state.newer = state.older = kNone;
  --idle_;
}

void BlockPool::check_invariants() const {
  std::vector<bool> is_free(blocks_.size());
  for (const std::int32_t block : free_) {
    CHECK(!is_free[block]);
    is_free[block] = true;
  }
  std::int32_t idle = 0, used = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const bool in_use = blocks_[i].references > 0;
    CHECK(blocks_[i].references >= 0);
    CHECK(static_cast<int>(is_free[i]) + static_cast<int>(blocks_[i].idle) + static_cast<int>(in_use) == 1);
    idle += blocks_[i].idle ? 1 : 0;
    used += in_use ? 1 : 0;
  }
  CHECK(idle == idle_ && used == this->used());
  std::int32_t linked = 0;
  for (std::int32_t block = newest_; block != kNone; block = blocks_[block].older) {
    CHECK(blocks_[block].idle && ++linked <= idle_);
  }
  CHECK(linked == idle_);
}

}  // namespace pagoda::cache

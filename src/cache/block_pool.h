#pragma once
// Which KV blocks are free, in use (by how many sequences), or idle but still holding tokens worth keeping.
// Host only: ids and counts, no memory. Owned by the engine thread.
//
// Invariants: every block is in exactly one state; free + idle + used = total; references > 0 only while
// used.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/strong_id.h"

namespace pagoda::cache {

using BlockId = base::StrongId<struct BlockTag>;

class BlockPool {
 public:
  explicit BlockPool(std::int32_t num_blocks);

  // A block with one reference: a free one, else the idle one that was used longest ago. `evicted` tells the
  // latter, so that the caller can forget what it held. Nothing if all are in use.
  struct Allocation {
    BlockId block;
    bool evicted = false;
  };
  std::optional<Allocation> allocate();

  // One more user; an idle block comes back into use.
  void retain(BlockId block);
  // One user less. The last one leaves the block idle if `keep`, else free.
  void release(BlockId block, bool keep);

  std::int32_t total() const { return static_cast<std::int32_t>(blocks_.size()); }
  std::int32_t free() const { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t idle() const { return idle_; }
  std::int32_t used() const { return total() - free() - idle(); }
  std::int32_t references(BlockId block) const { return blocks_[block.value].references; }
  bool is_idle(BlockId block) const { return blocks_[block.value].idle; }

  // Aborts if the invariants do not hold. Linear in the number of blocks: for tests and debug builds.
  void check_invariants() const;

 private:
  struct Block {
    std::int32_t references = 0;
    bool idle = false;
    std::int32_t newer = kNone, older = kNone;  // neighbours among the idle
  };
  static constexpr std::int32_t kNone = -1;
  void link_newest(std::int32_t block);
  void unlink(std::int32_t block);

  std::vector<Block> blocks_;
  std::vector<std::int32_t> free_;  // a stack: the block freed last is warm in the caches
  std::int32_t idle_ = 0;
  std::int32_t newest_ = kNone, oldest_ = kNone;  // ends of the idle list
};

}  // namespace pagoda::cache

#include "cache/block_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::cache {
namespace {

// Free, idle and used blocks.
std::vector<std::int32_t> counts(const BlockPool& pool) {
  pool.check_invariants();
  return {pool.free(), pool.idle(), pool.used()};
}

std::vector<BlockId> allocate(BlockPool& pool, int count) {
  std::vector<BlockId> blocks;
  for (int i = 0; i < count; ++i) blocks.push_back(pool.allocate()->block);
  return blocks;
}

TEST(BlockPool, BeginsWithAllBlocksFree) {
  const BlockPool pool(3);
  EXPECT_EQ(pool.total(), 3);
  EXPECT_THAT(counts(pool), testing::ElementsAre(3, 0, 0));
}

TEST(BlockPool, HandsOutEachBlockOnceAndThenNothing) {
  BlockPool pool(3);
  EXPECT_THAT(allocate(pool, 3), testing::UnorderedElementsAre(BlockId(0), BlockId(1), BlockId(2)));
  EXPECT_FALSE(pool.allocate().has_value());
  EXPECT_THAT(counts(pool), testing::ElementsAre(0, 0, 3));
}

TEST(BlockPool, WithoutBlocksHasNothingToGive) {
  BlockPool pool(0);
  EXPECT_FALSE(pool.allocate().has_value());
  pool.check_invariants();
}

TEST(BlockPool, ReleasedBlockIsFreeOrIdle) {
  BlockPool pool(3);
  const auto blocks = allocate(pool, 3);
  pool.release(blocks[0], /*keep=*/false);
  pool.release(blocks[1], /*keep=*/true);
  EXPECT_THAT(counts(pool), testing::ElementsAre(1, 1, 1));
  EXPECT_TRUE(pool.is_idle(blocks[1]));
  EXPECT_FALSE(pool.is_idle(blocks[0]));
}

TEST(BlockPool, SharedBlockStaysInUseUntilItsLastUserLeaves) {
  BlockPool pool(1);
  const BlockId block = pool.allocate()->block;
  pool.retain(block);
  EXPECT_EQ(pool.references(block), 2);
  pool.release(block, /*keep=*/true);
  EXPECT_THAT(counts(pool), testing::ElementsAre(0, 0, 1));
  pool.release(block, /*keep=*/true);
  EXPECT_THAT(counts(pool), testing::ElementsAre(0, 1, 0));
}

TEST(BlockPool, RetainBringsAnIdleBlockBackIntoUse) {
  BlockPool pool(2);
  const BlockId block = pool.allocate()->block;
  pool.release(block, /*keep=*/true);
  pool.retain(block);
  EXPECT_EQ(pool.references(block), 1);
  EXPECT_FALSE(pool.is_idle(block));
  EXPECT_THAT(counts(pool), testing::ElementsAre(1, 0, 1));
}

TEST(BlockPool, TakesFreeBlocksBeforeIdleOnes) {
  BlockPool pool(2);
  const auto blocks = allocate(pool, 2);
  pool.release(blocks[0], /*keep=*/true);
  pool.release(blocks[1], /*keep=*/false);
  const auto first = *pool.allocate();
  EXPECT_EQ(first.block, blocks[1]);
  EXPECT_FALSE(first.evicted);
  const auto second = *pool.allocate();
  EXPECT_EQ(second.block, blocks[0]);
  EXPECT_TRUE(second.evicted);
}

TEST(BlockPool, EvictsTheIdleBlockThatWasUsedLongestAgo) {
  BlockPool pool(4);
  const auto blocks = allocate(pool, 4);
  for (const int i : {2, 0, 3, 1}) pool.release(blocks[i], /*keep=*/true);
  // Used once more: the newest of all now.
  pool.retain(blocks[0]);
  pool.release(blocks[0], /*keep=*/true);
  for (const int i : {2, 3, 1, 0}) EXPECT_EQ(pool.allocate()->block, blocks[i]);
  EXPECT_THAT(counts(pool), testing::ElementsAre(0, 0, 4));
}

// Taking blocks out of the idle list at its ends and in its middle leaves the order of the others.
TEST(BlockPool, KeepsTheOrderOfTheIdleWhoeverLeaves) {
  for (int leaves = 0; leaves < 3; ++leaves) {
    BlockPool pool(3);
    const auto blocks = allocate(pool, 3);
    for (const BlockId block : blocks) pool.release(block, /*keep=*/true);
    pool.retain(blocks[leaves]);
    pool.check_invariants();
    for (int i = 0; i < 3; ++i) {
      if (i == leaves) continue;
      EXPECT_EQ(pool.allocate()->block, blocks[i]);
    }
    EXPECT_FALSE(pool.allocate().has_value());
  }
}

using BlockPoolDeathTest = ::testing::Test;

TEST(BlockPoolDeathTest, RefusesToReleaseOrRetainWhatNobodyUses) {
  BlockPool pool(1);
  const BlockId block = pool.allocate()->block;
  pool.release(block, /*keep=*/false);
  EXPECT_DEATH(pool.release(block, /*keep=*/false), "CHECK failed");
  EXPECT_DEATH(pool.retain(block), "CHECK failed");
}

}  // namespace
}  // namespace pagoda::cache

#include "cache/block_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "cache/prefix_hash.h"

namespace pagoda::cache {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens counted(std::int32_t size, std::int32_t from = 0) {
  Tokens tokens(size);
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

constexpr std::uint64_t kSalt = 17;

// A sequence whose tokens are all computed.
BlockTable computed(BlockCache& cache, const Tokens& tokens, std::uint64_t salt = kSalt) {
  BlockTable table;
  cache.start(table, tokens, salt);
  EXPECT_TRUE(cache.grow(table, static_cast<std::int32_t>(tokens.size())));
  cache.seal(table, tokens, static_cast<std::int32_t>(tokens.size()));
  return table;
}

void compute_and_leave(BlockCache& cache, const Tokens& tokens, std::uint64_t salt = kSalt) {
  BlockTable table = computed(cache, tokens, salt);
  cache.release(table);
}

// How many of the tokens are found; leaves no trace but in the order of eviction.
std::int32_t found(BlockCache& cache, const Tokens& tokens, std::uint64_t salt = kSalt) {
  BlockTable table;
  const std::int32_t hit = cache.start(table, tokens, salt);
  cache.release(table);
  return hit;
}

TEST(BlockCache, GrowsByWholeBlocks) {
  BlockCache cache(10, 4, true);
  BlockTable table;
  EXPECT_EQ(cache.start(table, counted(9), kSalt), 0);
  for (const auto& [tokens, blocks] : {std::pair{1, 1}, {4, 1}, {5, 2}, {9, 3}, {9, 3}, {3, 3}}) {
    EXPECT_TRUE(cache.grow(table, tokens));
    EXPECT_EQ(static_cast<int>(table.blocks.size()), blocks) << tokens;
  }
  EXPECT_EQ(cache.available(), 7);
  cache.check_invariants(std::array<const BlockTable*, 1>{&table});
}

TEST(BlockCache, GrowsByAllOrNothing) {
  BlockCache cache(3, 4, true);
  BlockTable table;
  cache.start(table, counted(20), kSalt);
  EXPECT_TRUE(cache.grow(table, 4));
  EXPECT_FALSE(cache.grow(table, 13));
  EXPECT_EQ(table.blocks.size(), 1u);
  EXPECT_EQ(cache.available(), 2);
  EXPECT_TRUE(cache.grow(table, 12));
}

TEST(BlockCache, FindsWhatAnotherComputedAndLeft) {
  BlockCache cache(10, 4, true);
  compute_and_leave(cache, counted(10));
  EXPECT_EQ(found(cache, counted(20)), 8);  // the third block was not full
}

TEST(BlockCache, SharesBlocksWithTheLiving) {
  BlockCache cache(10, 4, true);
  BlockTable first = computed(cache, counted(9)), second;
  EXPECT_EQ(cache.start(second, counted(9), kSalt), 8);
  EXPECT_EQ(second.blocks[0], first.blocks[0]);
  EXPECT_EQ(second.blocks[1], first.blocks[1]);
  EXPECT_EQ(cache.pool().references(first.blocks[0]), 2);
  EXPECT_EQ(cache.pool().used(), 3);
  cache.check_invariants(std::array<const BlockTable*, 2>{&first, &second});
  cache.release(first);
  EXPECT_EQ(cache.pool().used(), 2);
}

TEST(BlockCache, DoesNotFindWhatIsNotComputedYet) {
  BlockCache cache(10, 4, true);
  BlockTable table;
  cache.start(table, counted(12), kSalt);
  EXPECT_TRUE(cache.grow(table, 12));
  EXPECT_EQ(found(cache, counted(12)), 0);
  cache.seal(table, counted(12), 7);
  EXPECT_EQ(found(cache, counted(12)), 4);
}

TEST(BlockCache, LeavesAtLeastOneTokenToCompute) {
  BlockCache cache(10, 4, true);
  compute_and_leave(cache, counted(8));
  EXPECT_EQ(found(cache, counted(8)), 4);
  EXPECT_EQ(found(cache, counted(9)), 8);
  EXPECT_EQ(found(cache, counted(4)), 0);
  EXPECT_EQ(found(cache, counted(1)), 0);
}

TEST(BlockCache, FindsEqualBlocksAfterEqualBeginningsOnly) {
  BlockCache cache(10, 4, true);
  compute_and_leave(cache, counted(12));
  Tokens other = counted(12);
  other[0] = 99;
  EXPECT_EQ(found(cache, other), 0);
  other = counted(12);
  other[5] = 99;
  EXPECT_EQ(found(cache, other), 4);
  EXPECT_EQ(found(cache, counted(12, /*from=*/4)), 0);  // the second block, at the beginning
}

TEST(BlockCache, DoesNotShareBetweenSalts) {
  BlockCache cache(10, 4, true);
  compute_and_leave(cache, counted(12), /*salt=*/1);
  EXPECT_EQ(found(cache, counted(12), /*salt=*/2), 0);
  EXPECT_EQ(found(cache, counted(12), /*salt=*/0), 0);
  EXPECT_EQ(found(cache, counted(12), /*salt=*/1), 8);
}

TEST(BlockCache, WithoutPrefixCachingSharesAndKeepsNothing) {
  BlockCache cache(10, 4, false);
  BlockTable table = computed(cache, counted(12));
  EXPECT_EQ(found(cache, counted(12)), 0);
  cache.release(table);
  EXPECT_EQ(cache.pool().free(), 10);
  EXPECT_EQ(cache.counters().prefix_queries_tokens, 0);
}

TEST(BlockCache, KeepsFullBlocksAndFreesTheRest) {
  BlockCache cache(10, 4, true);
  BlockTable table = computed(cache, counted(9));
  cache.release(table);
  EXPECT_TRUE(table.blocks.empty());
  EXPECT_EQ(cache.pool().idle(), 2);
  EXPECT_EQ(cache.pool().free(), 8);
}

TEST(BlockCache, EvictsTheEndOfAPrefixBeforeItsBeginning) {
  BlockCache cache(4, 4, true);
  compute_and_leave(cache, counted(16));
  BlockTable table;
  cache.start(table, counted(4, /*from=*/100), kSalt);
  for (const std::int32_t left : {12, 8, 4, 0}) {
    EXPECT_TRUE(cache.grow(table, 16 - left));
    BlockTable probe;
    EXPECT_EQ(cache.start(probe, counted(20), kSalt), left);
    cache.release(probe);
  }
  EXPECT_EQ(cache.counters().evictions, 4);
  cache.check_invariants(std::array<const BlockTable*, 1>{&table});
}

TEST(BlockCache, EvictsThePrefixThatWasUsedLongestAgo) {
  BlockCache cache(4, 4, true);
  compute_and_leave(cache, counted(8, 0));
  compute_and_leave(cache, counted(8, 100));
  EXPECT_EQ(found(cache, counted(9, 0)), 8);  // used again
  compute_and_leave(cache, counted(8, 200));
  EXPECT_EQ(found(cache, counted(9, 100)), 0);
  EXPECT_EQ(found(cache, counted(9, 0)), 8);
  EXPECT_EQ(found(cache, counted(9, 200)), 8);
  cache.check_invariants({});
}

TEST(BlockCache, DoesNotEvictWhatItJustFound) {
  BlockCache cache(3, 4, true);
  compute_and_leave(cache, counted(8));
  BlockTable table;
  EXPECT_EQ(cache.start(table, counted(16), kSalt), 8);
  EXPECT_FALSE(cache.grow(table, 16));  // only by taking its own blocks
  EXPECT_EQ(cache.available(), 1);
  cache.check_invariants(std::array<const BlockTable*, 1>{&table});
}

// Both keep their own blocks, those of the first to seal are found later.
TEST(BlockCache, TakesOneOfTwoThatComputeTheSame) {
  BlockCache cache(10, 4, true);
  const Tokens tokens = counted(9);
  BlockTable first, second;
  for (BlockTable* table : {&first, &second}) {
    EXPECT_EQ(cache.start(*table, tokens, kSalt), 0);
    EXPECT_TRUE(cache.grow(*table, 9));
  }
  cache.seal(first, tokens, 9);
  cache.seal(second, tokens, 9);
  cache.check_invariants(std::array<const BlockTable*, 2>{&first, &second});
  BlockTable third;
  EXPECT_EQ(cache.start(third, tokens, kSalt), 8);
  EXPECT_EQ(third.blocks, std::vector<BlockId>(first.blocks.begin(), first.blocks.begin() + 2));
  cache.release(second);
  EXPECT_EQ(cache.pool().idle(), 0);  // nobody would find them
  cache.release(first);
  cache.release(third);
  EXPECT_EQ(cache.pool().idle(), 2);
}

// The second finds the first block only, computes the rest next to a first that left, and continues its
// chain.
TEST(BlockCache, ExtendsAFoundPrefix) {
  BlockCache cache(10, 4, true);
  compute_and_leave(cache, counted(4));
  compute_and_leave(cache, counted(12));
  EXPECT_EQ(cache.pool().idle(), 3);
  EXPECT_EQ(found(cache, counted(13)), 12);
}

TEST(BlockCache, CountsTokensAskedForAndFound) {
  BlockCache cache(10, 4, true);
  compute_and_leave(cache, counted(10));
  BlockTable table;
  cache.start(table, counted(11), kSalt);
  EXPECT_EQ(cache.counters().prefix_queries_tokens, 21);
  EXPECT_EQ(cache.counters().prefix_hits_tokens, 8);
  cache.undo_start(table, 11);
  EXPECT_EQ(cache.counters().prefix_queries_tokens, 10);
  EXPECT_EQ(cache.counters().prefix_hits_tokens, 0);
  EXPECT_TRUE(table.blocks.empty());
  cache.check_invariants({});
}

TEST(PrefixHash, DependsOnSaltOrderAndEveryToken) {
  const Tokens tokens = {1, 2, 3, 4}, swapped = {1, 2, 4, 3}, other = {1, 2, 3, 5};
  const PrefixHash hash = prefix_extend(prefix_root(kSalt), tokens);
  EXPECT_EQ(hash, prefix_extend(prefix_root(kSalt), tokens));
  EXPECT_NE(hash, prefix_extend(prefix_root(kSalt + 1), tokens));
  EXPECT_NE(hash, prefix_extend(prefix_root(kSalt), swapped));
  EXPECT_NE(hash, prefix_extend(prefix_root(kSalt), other));
  EXPECT_NE(hash, prefix_root(kSalt));
}

TEST(PrefixHash, ChainsBlocks) {
  const Tokens all = counted(8), head = counted(4), tail = counted(4, 4);
  EXPECT_EQ(prefix_extend(prefix_root(kSalt), all),
            prefix_extend(prefix_extend(prefix_root(kSalt), head), tail));
}

}  // namespace
}  // namespace pagoda::cache

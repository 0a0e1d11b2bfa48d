#include "tensor/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace pagoda::tensor {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
// Around both allocators: the heap below 2 MiB, whole huge pages from there on.
const std::vector<std::size_t> kSizes = {1, 63, 64, 4096, 2 * kMiB - 1, 2 * kMiB, 2 * kMiB + 1, 5 * kMiB};

bool all_zero(const Buffer& buffer) {
  return std::all_of(buffer.data(), buffer.data() + buffer.size(),
                     [](std::byte b) { return b == std::byte{0}; });
}

TEST(Memory, TagsHaveNames) {
  std::set<std::string> names;
  for (const MemoryTag tag : kMemoryTags) names.emplace(memory_tag_name(tag));
  EXPECT_EQ(names.size(), kMemoryTags.size());
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(Memory, ABufferIsCountedUnderItsTagAlone) {
  for (const MemoryTag tag : kMemoryTags)
    for (const std::size_t size : kSizes) {
      std::vector<std::size_t> before;
      for (const MemoryTag each : kMemoryTags) before.push_back(memory_in_use(each));
      {
        const Buffer buffer(tag, size);
        EXPECT_EQ(buffer.size(), size);
        for (std::size_t i = 0; i < kMemoryTags.size(); ++i)
          EXPECT_EQ(memory_in_use(kMemoryTags[i]), before[i] + (kMemoryTags[i] == tag ? size : 0));
      }
      for (std::size_t i = 0; i < kMemoryTags.size(); ++i)
        EXPECT_EQ(memory_in_use(kMemoryTags[i]), before[i]);
    }
}

TEST(Memory, ZeroedAlignedAndWritable) {
  for (int round = 0; round < 2; ++round)  // the second time on memory that was used
    for (const std::size_t size : kSizes) {
      const Buffer buffer(MemoryTag::kStaging, size);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % (size >= 2 * kMiB ? 2 * kMiB : 64), 0u)
          << size;
      EXPECT_TRUE(all_zero(buffer)) << size;
      std::memset(buffer.data(), 0xab, size);
      EXPECT_EQ(buffer.as<std::uint8_t>()[size - 1], 0xab);
    }
}

TEST(Memory, EmptyBuffers) {
  const std::size_t before = memory_in_use(MemoryTag::kWeights);
  const Buffer none;
  const Buffer zero(MemoryTag::kWeights, 0);
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(none.size(), 0u);
  EXPECT_EQ(zero.data(), nullptr);
  EXPECT_EQ(zero.size(), 0u);
  EXPECT_EQ(memory_in_use(MemoryTag::kWeights), before);
}

TEST(Memory, MoveTakesTheMemoryAlong) {
  const std::size_t weights = memory_in_use(MemoryTag::kWeights), kv = memory_in_use(MemoryTag::kKvCache);
  {
    Buffer first(MemoryTag::kWeights, 100);
    std::byte* const data = first.data();
    Buffer second(std::move(first));
    EXPECT_EQ(second.data(), data);
    EXPECT_EQ(second.size(), 100u);
    EXPECT_EQ(first.data(), nullptr);  // NOLINT: a moved-from buffer is empty
    EXPECT_EQ(first.size(), 0u);
    EXPECT_EQ(memory_in_use(MemoryTag::kWeights), weights + 100);

    Buffer third(MemoryTag::kKvCache, 3 * kMiB);
    third = std::move(second);
    EXPECT_EQ(third.data(), data);
    EXPECT_EQ(memory_in_use(MemoryTag::kWeights), weights + 100);
    third = Buffer();  // assigning an empty one frees
    EXPECT_EQ(third.data(), nullptr);
    EXPECT_EQ(memory_in_use(MemoryTag::kWeights), weights);
    Buffer& same = third = Buffer(MemoryTag::kWeights, 10);
    third = std::move(same);
    EXPECT_EQ(third.size(), 10u);
  }
  EXPECT_EQ(memory_in_use(MemoryTag::kWeights), weights);
  EXPECT_EQ(memory_in_use(MemoryTag::kKvCache), kv);
}

TEST(Memory, BuffersInAVector) {
  const std::size_t before = memory_in_use(MemoryTag::kActivations);
  {
    std::vector<Buffer> buffers;
    for (std::size_t i = 0; i < 40; ++i) {
      buffers.emplace_back(MemoryTag::kActivations, 10 + i);
      buffers.back().data()[0] = static_cast<std::byte>(i);
    }
    for (std::size_t i = 0; i < buffers.size(); ++i)
      EXPECT_EQ(buffers[i].data()[0], static_cast<std::byte>(i));
    buffers.erase(buffers.begin(), buffers.begin() + 20);
    EXPECT_EQ(memory_in_use(MemoryTag::kActivations), before + 20 * 10 + (20 + 39) * 20 / 2);
  }
  EXPECT_EQ(memory_in_use(MemoryTag::kActivations), before);
}

TEST(Memory, CountersAreThreadSafe) {
  const std::size_t before = memory_in_use(MemoryTag::kStaging);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (std::size_t i = 0; i < 500; ++i) const Buffer buffer(MemoryTag::kStaging, 1 + i % 97 + t);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(memory_in_use(MemoryTag::kStaging), before);
}

}  // namespace
}  // namespace pagoda::tensor

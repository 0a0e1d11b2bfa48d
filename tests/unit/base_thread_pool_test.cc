#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

namespace pagoda::base {
namespace {

// More threads than any machine of ours has cores to spare: workers lose their core in the middle of a chunk.
class ThreadPoolTest : public ::testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, EveryIndexOnceInChunksWithinBounds) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (const std::size_t count : {0u, 1u, 2u, 7u, 64u, 1000u, 4096u})
    for (const std::size_t chunk : {1u, 3u, 64u, 999u, 5000u}) {
      std::vector<int> visits(count, 0);  // not atomic: two visits of one index would be a race
      std::atomic<int> broken = 0;
      pool.run(count, chunk, [&](std::size_t begin, std::size_t end, int thread) {
        if (begin >= end || end > count || end - begin > chunk || begin % chunk != 0) ++broken;
        if (thread < 0 || thread >= pool.size()) ++broken;
        for (std::size_t i = begin; i < end; ++i) ++visits[i];
      });
      EXPECT_EQ(broken, 0) << count << " by " << chunk;
      EXPECT_EQ(visits, std::vector<int>(count, 1)) << count << " by " << chunk;
    }
}

// The caller reads what the workers wrote, and the workers what the caller wrote before, without any lock.
TEST_P(ThreadPoolTest, ManySmallJobs) {
  ThreadPool pool(GetParam());
  constexpr std::size_t kCount = 8;
  std::vector<std::int64_t> values(kCount, 0);
  constexpr int kJobs = 100000;
  for (int job = 0; job < kJobs; ++job) {
    const int add = job & 3;
    pool.run(kCount, 1, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = begin; i < end; ++i) values[i] += add;
    });
    if (job % 1000 == 0) {
      for (const std::int64_t value : values) ASSERT_EQ(value, values[0]) << job;
    }
  }
  for (const std::int64_t value : values) EXPECT_EQ(value, std::int64_t{kJobs} / 4 * (0 + 1 + 2 + 3));
}

// Jobs far apart: the workers have gone to sleep in between.
TEST_P(ThreadPoolTest, JobsAfterPauses) {
  ThreadPool pool(GetParam());
  for (int job = 0; job < 20; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<std::size_t> sum = 0;
    pool.run(100, 1, [&](std::size_t begin, std::size_t, int) { sum += begin; });
    EXPECT_EQ(sum, 4950u);
  }
}

TEST_P(ThreadPoolTest, ScratchOfAThreadIsItsOwn) {
  ThreadPool pool(GetParam());
  std::vector<std::vector<std::size_t>> scratch(pool.size());
  for (int job = 0; job < 200; ++job)
    pool.run(64, 2, [&](std::size_t begin, std::size_t end, int thread) {
      for (std::size_t i = begin; i < end; ++i) scratch[thread].push_back(i);
    });
  std::size_t total = 0;
  for (const auto& list : scratch) total += list.size();
  EXPECT_EQ(total, 200u * 64u);
}

TEST_P(ThreadPoolTest, DestroyedAtOnce) {
  for (int i = 0; i < 200; ++i) ThreadPool pool(GetParam());
}

TEST_P(ThreadPoolTest, DestroyedRightAfterAJob) {
  for (int i = 0; i < 200; ++i) {
    std::vector<int> visits(16, 0);
    {
      ThreadPool pool(GetParam());
      pool.run(visits.size(), 1, [&](std::size_t begin, std::size_t, int) { ++visits[begin]; });
    }
    ASSERT_EQ(std::accumulate(visits.begin(), visits.end(), 0), 16);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, ::testing::Values(1, 2, 8),
                         [](const auto& info) { return std::to_string(info.param); });

TEST(ThreadPool, ZeroMeansAllCores) {
  EXPECT_GE(ThreadPool::available_cores(), 1);
  EXPECT_EQ(ThreadPool(0).size(), ThreadPool::available_cores());
}

TEST(ThreadPool, TwoPoolsSideBySide) {
  std::atomic<std::int64_t> sum = 0;
  const auto work = [&sum] {
    ThreadPool pool(3);
    for (int job = 0; job < 2000; ++job)
      pool.run(10, 1, [&](std::size_t begin, std::size_t end, int) { sum += static_cast<int>(end - begin); });
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(sum, 2 * 2000 * 10);
}

}  // namespace
}  // namespace pagoda::base

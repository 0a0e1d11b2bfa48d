#include "base/thread_pool.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>

namespace pagoda::base {
namespace {

// About 100 us at 3 GHz with a pause of some 40 cycles: longer than the gap between two operators of a step,
// shorter than what a sleeping server may waste.
constexpr int kSpins = 8000;

}  // namespace

int ThreadPool::available_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = available_cores();
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  latest_.fetch_add(1);
  latest_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_job(std::size_t count, std::size_t chunk, const void* body, Call call) {
  body_ = body;
  call_ = call;
  count_ = count;
  chunk_ = chunk;
  next_.store(0, std::memory_order_relaxed);
  std::uint32_t job = latest_.load(std::memory_order_relaxed) + 1;
  if (job == 0) job = 1;  // after 2^32 jobs
  open_.store(job);
  latest_.store(job);
  latest_.notify_all();
  drain(0);
  // A worker first says that it is inside, then looks whether the job is open; we close first, then look who
  // is inside. In the one order of all four (they are sequentially consistent) no worker can slip in unseen.
  open_.store(0);
  // Whoever is inside finishes its chunk; sleeping here would cost more than it saves.
  for (int spin = 0; inside_.load() != 0; ++spin) {
    if (spin < kSpins)
      _mm_pause();
    else
      std::this_thread::yield();
  }
}

void ThreadPool::drain(int thread) {
  for (;;) {
    const std::size_t begin = next_.fetch_add(chunk_, std::memory_order_relaxed);
    if (begin >= count_) return;
    call_(body_, begin, std::min(begin + chunk_, count_), thread);
  }
}

void ThreadPool::work(int thread) {
  std::uint32_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < kSpins && latest_.load(std::memory_order_relaxed) == seen; ++spin) _mm_pause();
    latest_.wait(seen);
    if (stop_.load()) return;
    seen = latest_.load();
    inside_.fetch_add(1);
    if (open_.load() == seen) drain(thread);
    inside_.fetch_sub(1);
  }
}

}  // namespace pagoda::base

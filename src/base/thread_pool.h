#pragma once
// Fork-join over a fixed set of threads, built for operators that last 10 us to 100 ms: workers spin for a
// short while before they sleep, work is handed out in chunks, and the caller waits only for workers that
// have begun a chunk. So a thread that lost its core holds up nobody: on a busy machine the pool is never
// slower than the caller alone.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace pagoda::base {

class ThreadPool {
 public:
  // `threads` counts the calling thread; 1 runs everything inline. 0 means one per available core.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end, thread) until [0, count) is covered, with end - begin <= chunk; returns when all
  // is done. `thread` is in [0, size()). One caller at a time. body must not throw and must not call run()
  // again.
  template <typename Body>
  void run(std::size_t count, std::size_t chunk, const Body& body) {
    if (count == 0) return;
    if (workers_.empty() || count <= chunk) {
      for (std::size_t begin = 0; begin < count; begin += chunk)
        body(begin, begin + chunk < count ? begin + chunk : count, 0);
      return;
    }
    run_job(count, chunk, &body, [](const void* b, std::size_t begin, std::size_t end, int thread) {
      (*static_cast<const Body*>(b))(begin, end, thread);
    });
  }

  static int available_cores();

 private:
  using Call = void (*)(const void* body, std::size_t begin, std::size_t end, int thread);
  void run_job(std::size_t count, std::size_t chunk, const void* body, Call call);
  void drain(int thread);
  void work(int thread);

  std::vector<std::thread> workers_;
  // The job; written by the caller while no worker is inside.
  const void* body_ = nullptr;
  Call call_ = nullptr;
  std::size_t count_ = 0;
  std::size_t chunk_ = 1;
  alignas(64) std::atomic<std::size_t> next_{0};
  alignas(64) std::atomic<std::uint32_t> latest_{0};  // number of the latest job
  alignas(64) std::atomic<std::uint32_t> open_{0};    // the job that may be entered; 0: none
  alignas(64) std::atomic<int> inside_{0};  // workers that are in a job, or about to see that they may not
  std::atomic<bool> stop_{false};
};

}  // namespace pagoda::base

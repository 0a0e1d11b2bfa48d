#pragma once
// Counts the requests that are being answered, and tells whoever shuts the server down when there are none.
// Any thread.

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace pagoda::serve {

class DrainGate {
 public:
  // Held while a request is answered, until its last byte was handed to the system.
  class Pass {
   public:
    explicit Pass(DrainGate& gate) : gate_(gate) {
      const std::lock_guard lock(gate_.mutex_);
      ++gate_.inside_;
    }
    ~Pass() {
      const std::lock_guard lock(gate_.mutex_);
      if (--gate_.inside_ == 0) gate_.empty_.notify_all();
    }
    Pass(const Pass&) = delete;

   private:
    DrainGate& gate_;
  };

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  // False when the time was over first.
  bool wait_empty(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return empty_.wait_for(lock, timeout, [this] { return inside_ == 0; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  int inside_ = 0;
  bool closed_ = false;
};

}  // namespace pagoda::serve

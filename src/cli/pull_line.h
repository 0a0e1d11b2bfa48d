#pragma once
// What a pull shows on stderr: on a terminal one line, redrawn in place; elsewhere a plain line every few
// seconds. Notices stand on lines of their own. One thread.

#include <atomic>
#include <chrono>
#include <csignal>
#include <deque>
#include <string>
#include <utility>

#include "hub/download.h"

namespace pagoda::cli {

class PullLine {
 public:
  explicit PullLine(std::string title);
  ~PullLine() { clear(); }
  PullLine(const PullLine&) = delete;
  // Refers to this line.
  hub::PullObserver observer();
  void show(const hub::PullProgress& progress);
  void notice(const std::string& text);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  double bytes_per_second(std::uint64_t bytes, Clock::time_point now);

  std::string title_;
  bool terminal_, drawn_ = false;
  Clock::time_point last_;
  std::deque<std::pair<Clock::time_point, std::uint64_t>> history_;  // of the last seconds, for the rate
};

// "3/9 files, 1.20 GiB of 3.60 GiB, 85.0 MiB/s, 29 s left"
std::string pull_text(const hub::PullProgress& progress, double bytes_per_second);

// SIGINT and SIGTERM set a flag instead of ending the process, while it lives. The second one ends it as
// usual.
class InterruptFlag {
 public:
  InterruptFlag();
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  const std::atomic<bool>* flag() const;

 private:
  struct sigaction old_int_, old_term_;
};

}  // namespace pagoda::cli

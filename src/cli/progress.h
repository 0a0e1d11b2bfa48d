#pragma once
// A progress line on stderr, redrawn in place; nothing at all where stderr is not a terminal. One thread.

#include <chrono>
#include <string>

namespace pagoda::cli {

class Progress {
 public:
  // An empty title draws nothing.
  explicit Progress(std::string title);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  // Share done in [0, 1] and a note behind it ("12/40 lines, 310 tok/s"). Redraws at most ten times a second.
  void share(double done, const std::string& note);
  void clear();

 private:
  std::string title_;
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace pagoda::cli

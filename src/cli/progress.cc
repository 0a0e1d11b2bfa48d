#include "cli/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

namespace pagoda::cli {
namespace {

constexpr int kBarWidth = 24;
constexpr std::chrono::milliseconds kRedraw{100};

std::string eta(double seconds) {
  const auto whole = static_cast<long>(seconds);
  return whole >= 60 ? fmt::format("{} min {:02} s left", whole / 60, whole % 60)
                     : fmt::format("{} s left", whole);
}

}  // namespace

Progress::Progress(std::string title)
    : title_(std::move(title)),
      enabled_(!title_.empty() && ::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()) {}

void Progress::share(double done, const std::string& note) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_ < kRedraw && done < 1) return;
  last_ = now;
  drawn_ = true;
  done = std::clamp(done, 0.0, 1.0);
  const int filled = static_cast<int>(done * kBarWidth);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const std::string left = done > 0.01 && done < 1 ? ", " + eta(elapsed / done * (1 - done)) : "";
  fmt::print(stderr, "\r\x1b[K{} [{:#<{}}{:.<{}}] {:3.0f} % {}{}", title_, "", filled, "", kBarWidth - filled,
             done * 100, note, left);
  std::fflush(stderr);
}

void Progress::clear() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace pagoda::cli

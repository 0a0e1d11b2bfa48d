#include "cli/pull_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/byte_size.h"

namespace pagoda::cli {
namespace {

constexpr int kBarWidth = 24;
constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kPlainLine{5};
constexpr std::chrono::seconds kRateWindow{
    8};  // long enough to be calm, short enough to follow a slower network

std::atomic<bool> interrupted;
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler sets it

std::string left(double seconds) {
  const auto whole = static_cast<long>(seconds);
  if (whole >= 3600) return fmt::format("{} h {:02} min left", whole / 3600, whole / 60 % 60);
  return whole >= 60 ? fmt::format("{} min {:02} s left", whole / 60, whole % 60)
                     : fmt::format("{} s left", whole);
}

}  // namespace

std::string pull_text(const hub::PullProgress& progress, double bytes_per_second) {
  std::string text =
      fmt::format("{}/{} files, {} of {}", progress.files_done, progress.files_total,
                  base::format_bytes(progress.bytes_done), base::format_bytes(progress.bytes_total));
  if (progress.bytes_done >= progress.bytes_total)
    return text + (progress.files_checking > 0 ? ", checking" : "");
  text += fmt::format(", {}/s", base::format_bytes(static_cast<std::size_t>(bytes_per_second)));
  if (bytes_per_second > 0)
    text += ", " + left(static_cast<double>(progress.bytes_total - progress.bytes_done) / bytes_per_second);
  return text;
}

PullLine::PullLine(std::string title) : title_(std::move(title)), terminal_(::isatty(STDERR_FILENO) == 1) {}

hub::PullObserver PullLine::observer() {
  return {[this](const hub::PullProgress& progress) { show(progress); },
          [this](const std::string& text) { notice(text); }};
}

double PullLine::bytes_per_second(std::uint64_t bytes, Clock::time_point now) {
  // A file fetched once more takes bytes back; the rate then starts anew.
  if (!history_.empty() && bytes < history_.back().second) history_.clear();
  history_.emplace_back(now, bytes);
  while (history_.size() > 2 && now - history_.front().first > kRateWindow) history_.pop_front();
  const double seconds = std::chrono::duration<double>(now - history_.front().first).count();
  return seconds > 0 ? static_cast<double>(bytes - history_.front().second) / seconds : 0;
}

void PullLine::show(const hub::PullProgress& progress) {
  const auto now = Clock::now();
  const double rate = bytes_per_second(progress.bytes_done, now);
  const bool first = last_ == Clock::time_point();
  if (first && !terminal_) last_ = now;  // the first plain line after a while, not at once
  if (now - last_ < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))) return;
  last_ = now;
  const std::string text = pull_text(progress, rate);
  if (!terminal_) {
    fmt::print(stderr, "{}: {}\n", title_, text);
    return;
  }
  const double share =
      progress.bytes_total == 0
          ? 1
          : std::clamp(static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total),
                       0.0, 1.0);
  const int filled = static_cast<int>(share * kBarWidth);
  fmt::print(stderr, "\r\x1b[K[{:#<{}}{:.<{}}] {:3.0f} % {}", "", filled, "", kBarWidth - filled, share * 100,
             text);
  std::fflush(stderr);
  drawn_ = true;
}

void PullLine::notice(const std::string& text) {
  clear();
  fmt::print(stderr, "{}\n", text);
}

void PullLine::clear() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

InterruptFlag::InterruptFlag() {
  interrupted = false;
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

InterruptFlag::~InterruptFlag() {
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
}

const std::atomic<bool>* InterruptFlag::flag() const { return &interrupted; }

}  // namespace pagoda::cli

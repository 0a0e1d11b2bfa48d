#pragma once
// Server-sent events, piece by piece as they come from a socket: finds the events and gives their data. Any
// cut between two bytes is fine. One thread.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::load {

class SseParser {
 public:
  // Called with the data of each event, several lines joined by '\n'. The view ends with the call.
  using OnData = std::function<void(std::string_view)>;

  explicit SseParser(OnData on_data) : on_data_(std::move(on_data)) {}

  // kDataLoss when an event grows beyond kMaxEventBytes: the stream is none, and shall not be fed further.
  base::Status feed(std::string_view bytes);

  // Far above any answer: only there so that a server gone wrong cannot fill the memory.
  static constexpr std::size_t kMaxEventBytes = 16u << 20;

 private:
  void take_line(std::string_view line);

  OnData on_data_;
  std::string line_;  // the beginning of a line whose end has not come yet
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;  // a '\n' that comes next belongs to the '\r' before it
  bool first_line_ = true;
};

}  // namespace pagoda::load

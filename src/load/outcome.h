#pragma once
// What became of one request. Plain values; times in seconds from when it was sent.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "load/endpoint.h"

namespace pagoda::load {

struct Outcome {
  // Empty: the answer came, whole. Otherwise the HTTP status ("429") or "connect", "timeout", "cut" (the
  // connection ended early), "answer" (no answer that the endpoint gives, or a stream that reports an error).
  std::string failure;
  std::string error;  // one sentence, if it failed
  bool ok() const { return failure.empty(); }

  double first_text_s = 0;     // the first piece with text; the end if no piece had any
  double end_s = 0;            // the last piece, or the whole answer
  std::vector<double> gaps_s;  // between pieces with text
  std::int64_t pieces = 0;     // with text
  std::optional<TokenCounts> usage;
};

}  // namespace pagoda::load

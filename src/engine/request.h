#pragma once
// What goes into the engine and what comes out. Plain values.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "execute/sampling.h"
#include "text/tokenizer.h"

namespace pagoda::engine {

using RequestId = base::StrongId<struct RequestTag, std::int64_t>;

struct Request {
  std::vector<text::TokenId> prompt;
  execute::Sampling sampling;
  std::int32_t max_tokens = 0;                // of the answer; 0: as many as --max-model-len leaves
  std::vector<std::string> stop;              // strings that end the answer
  std::vector<text::TokenId> stop_token_ids;  // besides the model's own
  bool ignore_eos = false;                    // the model's own stop ids do not end the answer (benchmarks)
  bool include_stop = false;                  // a matched stop string stays in the text
  std::int32_t priority = 0;                  // lower runs first
  std::uint64_t salt = 0;                     // prefixes are shared only between requests of the same salt
};

enum class FinishReason { kStop, kLength, kCancelled, kError };
const char* finish_reason_name(FinishReason reason);  // "stop", "length", "cancelled", "error"

struct Usage {
  std::int32_t prompt_tokens = 0;
  std::int32_t cached_tokens = 0;      // of the prompt, found in the prefix cache
  std::int32_t completion_tokens = 0;  // the stop token counts
};

// When what happened to a request; the epoch where it has not happened yet.
struct Times {
  using Point = std::chrono::steady_clock::time_point;
  Point submitted;
  Point scheduled;    // first part of a step
  Point first_token;  // computed
  Point last_token;
};

// A piece of an answer. The text of all pieces is the answer; no piece ends inside a character.
struct Delta {
  RequestId id;
  std::string text;                           // may be empty
  std::vector<execute::SampledToken> tokens;  // computed since the last piece; their text may come later
  std::optional<FinishReason> finish;         // set in the last piece, and only there
  std::string error;                          // with kError: one sentence
  Usage usage;                                // so far
  Times times;
};

// Called on the engine's thread: it must be quick, must not throw and must not call the engine. Called
// exactly once with `finish` set. It is destroyed soon after that call, on the engine's thread, so it should
// not be the last owner of anything that must not die there.
using Sink = std::function<void(const Delta&)>;

}  // namespace pagoda::engine

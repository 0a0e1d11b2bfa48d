#pragma once
// Blocking calls on top of the engine's streams, for programs that want whole answers.

#include <functional>
#include <vector>

#include "engine/engine.h"

namespace pagoda::engine {

struct Completion {
  std::string text;
  std::vector<execute::SampledToken> tokens;
  FinishReason finish = FinishReason::kError;
  std::string error;
  Usage usage;
  Times times;
};

// One request, to its end.
base::Result<Completion> generate(Engine& engine, Request request);

// Many, through continuous batching; results in the order of the requests. At most `in_flight` are submitted
// at a time, so a long list never fills the queue. `done` (may be empty) is called on this thread after each
// answer with the number finished and the tokens generated so far. Stops at the first request that is
// refused.
base::Result<std::vector<Completion>> generate_all(
    Engine& engine, std::vector<Request> requests, std::size_t in_flight,
    const std::function<void(std::size_t, std::int64_t)>& done);

}  // namespace pagoda::engine

#pragma once
// Many requests at once: how many tokens a second come out when there is always another one waiting.

#include <cstdint>
#include <vector>

#include "execute/runner.h"

namespace pagoda::cli {

// The next `count` tokens of a sequence that `state` tells; the same on every machine.
std::vector<std::int32_t> random_tokens(std::uint32_t& state, std::int32_t count, std::int64_t vocab_size);

// Seconds for `requests` prompts of `prompt` random tokens, `answer` tokens each, all there at the start:
// through the scheduler, at most `together` at a time, steps planned ahead as the engine does it (without
// text, streams and clients). No two share a prefix.
double time_saturated(execute::Runner& runner, std::int32_t requests, std::int32_t prompt,
                      std::int32_t answer, std::int32_t together);

}  // namespace pagoda::cli

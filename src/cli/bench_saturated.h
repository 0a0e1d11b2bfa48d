#pragma once
// Many requests at once: how many tokens a second come out when there is always another one waiting.

#include <cstdint>

#include "execute/runner.h"

namespace pagoda::cli {

// Seconds for `requests` prompts of `prompt` random tokens, `answer` tokens each, all there at the start:
// through the scheduler, at most `together` at a time, steps planned ahead as the engine does it (without
// text, streams and clients). No two share a prefix.
double time_saturated(execute::Runner& runner, std::int32_t requests, std::int32_t prompt,
                      std::int32_t answer, std::int32_t together);

}  // namespace pagoda::cli

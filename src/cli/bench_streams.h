#pragma once
// `pagoda bench --streams 1,16`: whole requests through the engine - scheduler, KV blocks, sampling, text -
// as a server would send them, but without sockets.

#include <cstdint>

#include "base/status.h"
#include "engine/engine.h"

namespace pagoda::cli {

struct StreamsRow {
  std::int32_t streams = 0;
  double tokens_per_second = 0;  // of all answers together, prompts included in the time
  double kv_waste =
      0;  // share of the slots in used blocks that hold no token, at a mean length of 200 tokens
};

// `streams` requests at once, each until prompt and answer have 250 tokens.
base::Result<StreamsRow> run_streams(engine::Engine& engine, std::int32_t streams);

}  // namespace pagoda::cli

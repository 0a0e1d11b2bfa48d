#pragma once
// `pagoda bench --streams 1,16`: whole requests through the engine - scheduler, KV blocks, sampling, text -
// as a server would send them, but without sockets.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "engine/engine.h"

namespace pagoda::cli {

struct StreamsRow {
  std::int32_t streams = 0;
  std::int64_t tokens = 0;       // of all answers
  double tokens_per_second = 0;  // of all answers together, prompts included in the time
  double kv_waste =
      0;  // share of the slots in used blocks that hold no token, at a mean length of 200 tokens
  double gpu_idle_fraction =
      0;  // of the time from the first step to the last; if the engine times its device
};

// One of the streams of a round: the text that a client sends, and the same as a request to the engine, which
// goes on until prompt and answer have 250 tokens. No two streams or rounds share blocks.
struct StreamRequest {
  std::string text;
  engine::Request request;
};
base::Result<StreamRequest> stream_request(const engine::Engine& engine, std::int32_t stream,
                                           std::int32_t round);

struct StreamsOptions {
  std::int32_t streams = 1;  // requests at once
  std::int32_t round = 0;
  // A thread asks the engine for its counts 200 times a second. On a machine that others use too it may lose
  // its core while it holds the lock, and the engine waits: not for a run that is compared with another.
  bool measure_waste = true;
};
base::Result<StreamsRow> run_streams(engine::Engine& engine, const StreamsOptions& options);

}  // namespace pagoda::cli

#pragma once
// `pagoda bench --streams 64 --serve`: the requests of --streams through the engine alone, and through a
// server in this process with the load generator as its clients, in turns. The difference is what HTTP costs,
// the client's share of the cores included.

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "engine/engine.h"

namespace pagoda::cli {

struct SocketsRow {
  std::int32_t streams = 0;
  // Medians over the rounds; the ratio is that of the rounds' own ratios, because a machine shared with
  // others changes its speed from round to round.
  double engine_tokens_per_second = 0, sockets_tokens_per_second = 0, ratio = 0;
  // Of all threads of the process, waiting in a spin included: it says what sockets cost where the rates are
  // tossed about by other programs. Medians.
  double engine_cpu_us_per_token = 0, sockets_cpu_us_per_token = 0;
  double ttft_ms = 0, itl_ms = 0;  // medians of the last round's clients
};

// The engine behind a server on a free port of the loopback.
class BenchServer {
 public:
  // `streams`: as many connections as there will be.
  static base::Result<std::unique_ptr<BenchServer>> start(std::unique_ptr<engine::Engine> engine,
                                                          std::int32_t streams);
  ~BenchServer();
  BenchServer(const BenchServer&) = delete;

  // kInternal if an answer is not what it should be.
  base::Result<SocketsRow> compare(std::int32_t streams, std::int32_t rounds);

 private:
  struct Parts;
  explicit BenchServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace pagoda::cli

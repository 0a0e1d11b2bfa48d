#include "cli/bench_sockets.h"

#include <ctime>
#include <utility>
#include <vector>

#include "cli/bench_streams.h"
#include "load/metrics.h"
#include "load/run.h"
#include "serve/generate_route.h"
#include "serve/http_server.h"

namespace pagoda::cli {
namespace {

serve::ServerOptions server_options(std::int32_t streams) {
  serve::ServerOptions options;
  options.port = 0;
  options.max_connections = static_cast<std::size_t>(streams) + 8;
  return options;
}

double median(std::vector<double> values) { return load::summarize(std::move(values), {}).median; }

struct Served {
  double tokens_per_second = 0;
  load::Metrics metrics;
};

// The streams of one round, from the other side of the sockets.
base::Result<Served> run_clients(load::Client& client, const std::vector<load::Prompt>& prompts) {
  load::RunOptions options;
  options.arrivals_s.resize(prompts.size());
  const load::RunResult result = load::run(client, prompts, options);
  Served served;
  served.metrics = load::measure(result.outcomes, result.seconds, {}, {});
  if (served.metrics.failed > 0)
    return base::error(base::Code::kInternal, "{} of {} requests failed, {}", served.metrics.failed,
                       prompts.size(), served.metrics.failures.begin()->second.first);
  std::int64_t asked = 0;
  for (const load::Prompt& prompt : prompts) asked += prompt.max_tokens;
  if (served.metrics.output_tokens != asked)
    return base::error(base::Code::kInternal, "the clients got {} tokens and asked for {}",
                       served.metrics.output_tokens, asked);
  served.tokens_per_second = served.metrics.per_second(static_cast<double>(asked));
  return served;
}

base::Result<std::vector<load::Prompt>> prompts_of(const engine::Engine& engine, std::int32_t streams,
                                                   std::int32_t round) {
  std::vector<load::Prompt> prompts;
  for (std::int32_t i = 0; i < streams; ++i) {
    ASSIGN_OR_RETURN(StreamRequest request, stream_request(engine, i, round));
    prompts.push_back({std::move(request.text), request.request.max_tokens});
  }
  return prompts;
}

}  // namespace

// In the order in which a server needs them: the engine goes before the server that its sinks point to.
struct BenchServer::Parts {
  Parts(std::unique_ptr<engine::Engine> behind, std::int32_t streams)
      : door({}, metrics), server(server_options(streams), door), engine(std::move(behind)) {}
  ~Parts() { server.stop(std::chrono::milliseconds(0)); }

  serve::Metrics metrics{"bench"};
  serve::FrontDoor door;
  serve::HttpServer server;
  const std::unique_ptr<engine::Engine> engine;
  const translate::Translator translator{*engine, {}};
  serve::Service service{*engine,        translator,         metrics, door.keys(), door.gate(), "bench",
                         PAGODA_VERSION, std::time(nullptr), {},      false,       false};
};

BenchServer::BenchServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
BenchServer::~BenchServer() = default;

base::Result<std::unique_ptr<BenchServer>> BenchServer::start(std::unique_ptr<engine::Engine> engine,
                                                              std::int32_t streams) {
  auto parts = std::make_unique<Parts>(std::move(engine), streams);
  auto router = std::make_shared<serve::Router>();
  serve::add_generate_route(*router, parts->service);
  parts->door.open(std::move(router));
  RETURN_IF_ERROR(parts->server.bind());
  RETURN_IF_ERROR(parts->server.start());
  return std::unique_ptr<BenchServer>(new BenchServer(std::move(parts)));
}

base::Result<SocketsRow> BenchServer::compare(std::int32_t streams, std::int32_t rounds) {
  load::ClientOptions options;
  ASSIGN_OR_RETURN(options.url, load::parse_url(parts_->server.url()));
  options.shape.ignore_eos = true;
  load::Client client(options);
  RETURN_IF_ERROR(client.resolve());
  std::vector<double> engine_rates, socket_rates, ratios;
  Served served;
  // Round 0 is not counted: it touches all memory for the first time. Each side has prompts of its own in
  // each round, or the second would find those of the first in the prefix cache.
  for (std::int32_t round = 0; round <= rounds; ++round) {
    ASSIGN_OR_RETURN(const auto prompts, prompts_of(*parts_->engine, streams, 2 * round + 1));
    StreamsRow alone;
    const bool sockets_first = round % 2 == 1;
    if (!sockets_first) {
      ASSIGN_OR_RETURN(alone, run_streams(*parts_->engine, streams, 2 * round));
    }
    ASSIGN_OR_RETURN(served, run_clients(client, prompts));
    if (sockets_first) {
      ASSIGN_OR_RETURN(alone, run_streams(*parts_->engine, streams, 2 * round));
    }
    if (round == 0) continue;
    engine_rates.push_back(alone.tokens_per_second);
    socket_rates.push_back(served.tokens_per_second);
    ratios.push_back(served.tokens_per_second / alone.tokens_per_second);
  }
  return SocketsRow{streams,
                    median(std::move(engine_rates)),
                    median(std::move(socket_rates)),
                    median(std::move(ratios)),
                    served.metrics.ttft_ms.median,
                    served.metrics.itl_ms.median};
}

}  // namespace pagoda::cli

#include "cli/bench_sockets.h"

#include <ctime>
#include <utility>
#include <vector>

#include "cli/bench_streams.h"
#include "load/metrics.h"
#include "load/run.h"
#include "serve/generate_route.h"
#include "serve/http/http_server.h"

namespace pagoda::cli {
namespace {

serve::ServerOptions server_options(std::int32_t streams) {
  serve::ServerOptions options;
  options.port = 0;
  options.max_connections = static_cast<std::size_t>(streams) + 8;
  return options;
}

double median(std::vector<double> values) { return load::summarize(std::move(values), {}).median; }

// One round of one side.
struct Side {
  double tokens_per_second = 0, cpu_us_per_token = 0;
  load::Metrics clients;  // with sockets
};

double cpu_us() { return static_cast<double>(std::clock()) * 1e6 / CLOCKS_PER_SEC; }

base::Result<Side> run_alone(engine::Engine& engine, std::int32_t streams, std::int32_t round) {
  const double begin_us = cpu_us();
  ASSIGN_OR_RETURN(const StreamsRow row, run_streams(engine, {streams, round, /*measure_waste=*/false}));
  return Side{row.tokens_per_second, (cpu_us() - begin_us) / static_cast<double>(row.tokens), {}};
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

base::Result<Side> run_clients(const engine::Engine& engine, load::Client& client, std::int32_t streams,
                               std::int32_t round) {
  ASSIGN_OR_RETURN(const std::vector<load::Prompt> prompts, prompts_of(engine, streams, round));
  load::RunOptions options;
  options.arrivals_s.resize(prompts.size());
  const double begin_us = cpu_us();
  const load::RunResult result = load::run(client, prompts, options);
  const double used_us = cpu_us() - begin_us;
  const load::Metrics metrics = load::measure(result.outcomes, result.seconds, {}, {});
  if (metrics.failed > 0)
    return base::error(base::Code::kInternal, "{} of {} requests failed, {}", metrics.failed, prompts.size(),
                       metrics.failures.begin()->second.first);
  std::int64_t asked = 0;
  for (const load::Prompt& prompt : prompts) asked += prompt.max_tokens;
  if (metrics.output_tokens != asked)
    return base::error(base::Code::kInternal, "the clients got {} tokens and asked for {}",
                       metrics.output_tokens, asked);
  const auto tokens = static_cast<double>(asked);
  return Side{metrics.per_second(tokens), used_us / tokens, metrics};
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
  std::vector<double> alone_rates, served_rates, ratios, alone_cpu, served_cpu;
  Side alone, served;
  // Round 0 is not counted: it touches all memory for the first time. Each side has prompts of its own in
  // each round, or the second would find those of the first in the prefix cache. They take turns at being
  // first.
  for (std::int32_t round = 0; round <= rounds; ++round) {
    for (const bool sockets : {round % 2 == 1, round % 2 == 0}) {
      if (sockets) {
        ASSIGN_OR_RETURN(served, run_clients(*parts_->engine, client, streams, 2 * round + 1));
      } else {
        ASSIGN_OR_RETURN(alone, run_alone(*parts_->engine, streams, 2 * round));
      }
    }
    if (round == 0) continue;
    alone_rates.push_back(alone.tokens_per_second);
    served_rates.push_back(served.tokens_per_second);
    ratios.push_back(served.tokens_per_second / alone.tokens_per_second);
    alone_cpu.push_back(alone.cpu_us_per_token);
    served_cpu.push_back(served.cpu_us_per_token);
  }
  SocketsRow row;
  row.streams = streams;
  row.engine_tokens_per_second = median(std::move(alone_rates));
  row.sockets_tokens_per_second = median(std::move(served_rates));
  row.ratio = median(std::move(ratios));
  row.engine_cpu_us_per_token = median(std::move(alone_cpu));
  row.sockets_cpu_us_per_token = median(std::move(served_cpu));
  row.ttft_ms = served.clients.ttft_ms.median;
  row.itl_ms = served.clients.itl_ms.median;
  return row;
}

}  // namespace pagoda::cli

#pragma once
// A server on a free port, with an engine on random weights and the small tokenizer of tests/data.

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "kernels/ops.h"
#include "serve/dialects/routes.h"
#include "serve/generate_route.h"
#include "serve/http/http_server.h"
#include "serve/openai/routes.h"
#include "serve/probe_routes.h"
#include "serve/websocket_route.h"

namespace pagoda::serve {

inline std::unique_ptr<engine::Engine> random_engine(std::int32_t max_waiting = 1024) {
  base::Result<text::Tokenizer> tokenizer =
      text::Tokenizer::load(std::string(PAGODA_SOURCE_DIR) + "/tests/data/tokenizer/hy.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  base::Result<text::ChatTemplate> chat_template = text::ChatTemplate::detect(tokenizer.value());
  EXPECT_TRUE(chat_template.ok()) << chat_template.status().message();
  model::DenseShape shape;
  shape.vocab_size = tokenizer.value().vocab_size();
  shape.hidden_size = 32;
  shape.intermediate_size = 64;
  shape.num_layers = 1;
  shape.num_heads = 2;
  shape.num_kv_heads = 1;
  shape.head_dim = 16;
  engine::EngineOptions options;
  options.max_waiting = max_waiting;
  options.runner.max_num_seqs = 8;
  options.runner.max_num_batched_tokens = 256;
  options.runner.max_model_len = 65536;  // an answer that lasts long enough to be interrupted
  options.runner.num_kv_blocks = 8192;
  kernels::CpuOptions cpu;
  cpu.threads = 1;
  auto runner = execute::Runner::random(shape, {kernels::WeightFormat::kBF16, kernels::WeightFormat::kBF16},
                                        kernels::make_cpu_ops(cpu), options.runner);
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  return std::make_unique<engine::Engine>(std::move(runner).value(), std::move(tokenizer).value(),
                                          std::move(chat_template).value(), options);
}

// A request that does not end by itself while a test runs: the longest answer, of a model that knows no stop.
inline const char* const kEndless = R"({"prompt": "a", "temperature": 1, "seed": 1, "max_tokens": 60000})";

// A minute: under a sanitizer on a busy machine it takes that long until a client that does not read has its
// buffers full.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 12000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

// How a test wants its server: what differs from one without keys and limits.
struct RunningOptions {
  ServerOptions server;
  FrontDoorOptions door;
  ServiceLimits limits;
  std::int32_t max_waiting = 1024;
  bool translate_chat = false;
  translate::TranslatorOptions translator;
};

class RunningServer {
 public:
  explicit RunningServer(RunningOptions options = {})
      : engine_(random_engine(options.max_waiting)),
        translator_(*engine_, options.translator),
        metrics_("tiny"),
        door_(options.door, metrics_),
        service_{
            *engine_, translator_,   metrics_,       door_.keys(),           door_.gate(),          "tiny",
            "0.0.0",  1'700'000'000, options.limits, options.translate_chat, options.door.log.texts} {
    options.server.port = 0;
    server_ = std::make_unique<HttpServer>(options.server, door_);
    auto router = std::make_shared<Router>();
    add_probe_routes(*router, service_, [this] { return server_->connections(); });
    add_generate_route(*router, service_);
    add_openai_routes(*router, service_);
    add_websocket_route(*router, service_);
    add_dialect_routes(*router, service_, data_);
    routes_ = router->routes();
    door_.open(std::move(router));
    base::Status status = server_->bind();
    if (status.ok()) status = server_->start();
    EXPECT_TRUE(status.ok()) << status.message();
  }
  ~RunningServer() {
    server_->stop(std::chrono::milliseconds(0));
    engine_.reset();
  }
  HttpServer& server() { return *server_; }
  engine::Engine& engine() { return *engine_; }
  Service& service() { return service_; }
  std::size_t connections() const { return server_->connections().http + server_->connections().websocket; }
  std::uint16_t port() const { return server_->port(); }
  // Everything that `pagoda serve` answers but the files of the page.
  const std::vector<std::string>& routes() const { return routes_; }
  bool idle() const {
    const engine::Stats stats = engine_->stats();
    return stats.running == 0 && stats.waiting == 0;
  }

 private:
  std::unique_ptr<engine::Engine> engine_;
  translate::Translator translator_;
  Metrics metrics_;
  FrontDoor door_;
  Service service_;
  ClientData data_{Database::in_memory().value()};
  std::unique_ptr<HttpServer> server_;
  std::vector<std::string> routes_;
};

}  // namespace pagoda::serve

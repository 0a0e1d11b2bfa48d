// pagoda serve: the model behind HTTP.

#include <fmt/core.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "cli/engine_flags.h"
#include "cli/verbs.h"
#include "serve/generate_route.h"
#include "serve/health_route.h"
#include "serve/http_server.h"

namespace pagoda::cli {
namespace {

namespace asio = boost::asio;

struct Flags {
  serve::ServerOptions server;
  double idle_timeout = 60, drain_timeout = 30;  // seconds
  std::string served_model_name;
};

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

// The last part of the model's path: "models/nano/" is "nano".
std::string model_name(const Flags& flags, const EngineFlags& engine_flags) {
  if (!flags.served_model_name.empty()) return flags.served_model_name;
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(engine_flags.model, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

// SIGINT and SIGTERM, from construction on. The first ends wait(); the second ends the process where it
// stands.
class StopSignals {
 public:
  StopSignals() : signals_(io_, SIGINT, SIGTERM) {}
  ~StopSignals() {
    io_.stop();
    if (watcher_.joinable()) watcher_.join();
  }
  void wait() {
    signals_.async_wait([](boost::system::error_code, int) {});
    io_.run_one();
    signals_.async_wait([](boost::system::error_code error, int signal) {
      if (!error) std::_Exit(128 + signal);
    });
    io_.restart();
    watcher_ = std::thread([this] { io_.run(); });
  }

 private:
  asio::io_context io_;
  asio::signal_set signals_;
  std::thread watcher_;
};

base::Status run(const Flags& flags, const EngineFlags& engine_flags) {
  serve::ServerOptions options = flags.server;
  options.session.idle_timeout = milliseconds(flags.idle_timeout);
  serve::HttpServer server(options);
  RETURN_IF_ERROR(server.bind());
  // Destroyed before the server: its thread may be inside a sink until then.
  ASSIGN_OR_RETURN(const std::unique_ptr<engine::Engine> engine, load(engine_flags, /*quiet=*/false));
  const std::string name = model_name(flags, engine_flags);
  serve::Router router;
  serve::add_health_route(router, *engine, name);
  serve::add_generate_route(router, *engine);
  StopSignals signals;
  RETURN_IF_ERROR(server.start(std::move(router)));
  fmt::print(stderr, "serving {} on {}\n", name, server.url());

  signals.wait();
  fmt::print(stderr, "stopping; requests have {:g} s to end, a second signal ends at once\n",
             flags.drain_timeout);
  server.stop(milliseconds(flags.drain_timeout));
  fmt::print(stderr, "stopped\n");
  return {};
}

}  // namespace

Verb add_serve(CLI::App& app) {
  CLI::App* command = app.add_subcommand("serve", "Serve a model over HTTP");
  auto flags = std::make_shared<Flags>();
  serve::ServerOptions& server = flags->server;
  command->add_option("--host", server.host, "Address to listen on; 0.0.0.0: all")->capture_default_str();
  command->add_option("--port", server.port, "Port to listen on; 0: the system chooses one")
      ->capture_default_str();
  command
      ->add_option("--idle-timeout", flags->idle_timeout,
                   "Seconds until a silent connection is closed, and for a whole request to arrive")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  command
      ->add_option("--drain-timeout", flags->drain_timeout,
                   "Seconds that running requests have to end after SIGTERM; then they are cancelled")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command
      ->add_option("--max-connections", server.max_connections,
                   "Connections at a time; more are told so and closed")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--served-model-name", flags->served_model_name,
                      "Name of the model for clients; default: the last part of --model");
  auto engine_flags = add_engine_flags(*command, /*positional=*/true);
  return [=] {
    const base::Status status = run(*flags, *engine_flags);
    return status.ok() ? 0 : fail(status);
  };
}

}  // namespace pagoda::cli

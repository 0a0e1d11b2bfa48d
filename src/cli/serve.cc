// pagoda serve: the model behind HTTP.

#include <fmt/core.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "base/last_part.h"
#include "checkpoint/checkpoint.h"
#include "cli/data_directory.h"
#include "cli/engine_flags.h"
#include "cli/hub_flags.h"
#include "cli/verbs.h"
#include "serve/dialects/routes.h"
#include "serve/generate_route.h"
#include "serve/http/http_server.h"
#include "serve/openai/routes.h"
#include "serve/page_routes.h"
#include "serve/probe_routes.h"
#include "serve/websocket_route.h"

namespace pagoda::cli {
namespace {

namespace asio = boost::asio;

struct Flags {
  serve::ServerOptions server;
  double idle_timeout = 60, drain_timeout = 30;  // seconds
  double ping_interval = 15;                     // seconds
  std::string max_body_size = "8MiB";
  std::string served_model_name;
  std::vector<std::string> api_keys, cors_origins = {"*"};
  std::string api_key_file;
  std::string data;  // directory
  serve::RequestLogOptions log;
  std::string prompt_style = "auto", sampling = "auto";
  std::uint64_t seed = 0;
  std::string web_folder;
  bool translate_chat = false;
  serve::ServiceLimits limits;
};

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
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

base::Result<serve::FrontDoorOptions> front_door_options(const Flags& flags) {
  serve::FrontDoorOptions options;
  std::vector<std::string> keys = flags.api_keys;
  if (!flags.api_key_file.empty()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> more, serve::AccessKeys::read_file(flags.api_key_file));
    keys.insert(keys.end(), more.begin(), more.end());
  }
  ASSIGN_OR_RETURN(options.keys, serve::AccessKeys::make(std::move(keys)));
  options.cors = serve::CorsPolicy(flags.cors_origins);
  options.log = flags.log;
  return options;
}

base::Result<translate::TranslatorOptions> translator_options(const Flags& flags, const std::string& model,
                                                              const std::string& directory,
                                                              const engine::Engine& engine) {
  translate::TranslatorOptions options;
  ASSIGN_OR_RETURN(options.style, translate::choose_prompt_style(flags.prompt_style, model));
  options.seed = flags.seed;
  bool official = flags.sampling == "official";
  if (flags.sampling == "auto") {
    ASSIGN_OR_RETURN(const checkpoint::Checkpoint files, checkpoint::Checkpoint::open(directory));
    official = files.config().sampling.do_sample.value_or(files.config().sampling.temperature.has_value());
  }
  if (official) options.sampling = translate::official_sampling(engine.chat_template().family());
  return options;
}

std::shared_ptr<const serve::Router> loading_router() {
  auto router = std::make_shared<serve::Router>();
  serve::add_loading_routes(*router, PAGODA_VERSION);
  return router;
}

base::Result<std::shared_ptr<const serve::Router>> full_router(const Flags& flags, serve::Service& service,
                                                               serve::ClientData& data,
                                                               const serve::HttpServer& server) {
  auto router = std::make_shared<serve::Router>();
  serve::add_probe_routes(*router, service, [&server] { return server.connections(); });
  RETURN_IF_ERROR(serve::add_page_routes(*router, flags.web_folder));
  serve::add_generate_route(*router, service);
  serve::add_openai_routes(*router, service);
  serve::add_websocket_route(*router, service);
  serve::add_dialect_routes(*router, service, data);
  return std::shared_ptr<const serve::Router>(std::move(router));
}

base::Status run(const Flags& flags, const EngineFlags& engine_flags) {
  serve::ServerOptions options = flags.server;
  options.session.idle_timeout = milliseconds(flags.idle_timeout);
  ASSIGN_OR_RETURN(options.session.body_bytes, execute::parse_bytes(flags.max_body_size));
  ASSIGN_OR_RETURN(serve::FrontDoorOptions door_options, front_door_options(flags));
  const std::string model = base::last_part(engine_flags.model);
  const std::string name = flags.served_model_name.empty() ? model : flags.served_model_name;
  ASSIGN_OR_RETURN(std::unique_ptr<serve::Database> database, open_data(flags.data));
  serve::ClientData data(std::move(database));
  serve::Metrics metrics(name);
  serve::FrontDoor door(std::move(door_options), metrics);
  serve::HttpServer server(options, door);
  RETURN_IF_ERROR(server.bind());
  door.open(loading_router());
  RETURN_IF_ERROR(server.start());
  // Destroyed before the server: its thread may be inside a sink until then.
  EngineFlags local = engine_flags;
  ASSIGN_OR_RETURN(local.model, find_model(engine_flags.model, *engine_flags.hub));
  ASSIGN_OR_RETURN(const std::unique_ptr<engine::Engine> engine, load(local, /*quiet=*/false));
  ASSIGN_OR_RETURN(const translate::TranslatorOptions translating,
                   translator_options(flags, model, local.model, *engine));
  const translate::Translator translator(*engine, translating);
  serve::Service service{
      *engine,        translator,         metrics,      door.keys(),          door.gate(),    name,
      PAGODA_VERSION, std::time(nullptr), flags.limits, flags.translate_chat, flags.log.texts};
  service.limits.ping_interval = milliseconds(flags.ping_interval);
  StopSignals signals;
  ASSIGN_OR_RETURN(std::shared_ptr<const serve::Router> router, full_router(flags, service, data, server));
  door.open(std::move(router));
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
                   "Seconds until a silent connection is closed, for a whole request to arrive, and for a "
                   "client to take its answer")
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
  command
      ->add_option(
          "--api-key", flags->api_keys,
          "A key that clients must present; may be given several times. Without keys everybody is let in")
      ->envname("PAGODA_API_KEY");
  command->add_option("--api-key-file", flags->api_key_file, "A file with one key a line");
  command->add_option("--data", flags->data,
                      "Directory of what is kept between runs (glossaries, counts of characters); default: "
                      "$XDG_DATA_HOME/pagoda, or ~/.local/share/pagoda");
  command
      ->add_option(
          "--cors-origin", flags->cors_origins,
          "Origin whose pages may use the server, e.g. https://example.org; may be given several times")
      ->capture_default_str();
  command
      ->add_option("--max-body-size", flags->max_body_size,
                   "Largest body of a request, and largest WebSocket message")
      ->capture_default_str();
  command->add_option("--max-texts", flags->limits.max_texts, "Texts in one translation request")
      ->capture_default_str();
  command
      ->add_option("--ping-interval", flags->ping_interval,
                   "Seconds of silence in a streamed answer until a comment is sent")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str();
  command
      ->add_option("--log-sample", flags->log.sample,
                   "Share of requests that are logged, 0 to 1, one line of JSON each on stderr; failures of "
                   "the server always are")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--log-text", flags->log.texts,
                    "Logged requests show what was translated, and the translation");
  command
      ->add_option(
          "--sampling", flags->sampling,
          "How translations are sampled where the request does not say: official (as the model's authors "
          "recommend), greedy, or auto: official where generation_config.json asks for sampling")
      ->check(CLI::IsMember({"auto", "official", "greedy"}))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "Of translations whose request has none")->capture_default_str();
  command
      ->add_option("--prompt-style", flags->prompt_style,
                   "Wording of the prompts: hy-mt1.5, hy-mt2, or auto: by the model's name")
      ->check(CLI::IsMember({"auto", "hy-mt1.5", "hy-mt2"}))
      ->capture_default_str();
  command->add_flag(
      "--translate-chat", flags->translate_chat,
      "The last message of a chat is a text to translate, whatever prompt the client wraps around it");
  command->add_option("--web-dir", flags->web_folder,
                      "Serve the page from this folder instead of the one in the program");
  auto engine_flags = add_engine_flags(*command, /*positional=*/true);
  return [=] {
    const base::Status status = run(*flags, *engine_flags);
    return status.ok() ? 0 : fail(status);
  };
}

}  // namespace pagoda::cli

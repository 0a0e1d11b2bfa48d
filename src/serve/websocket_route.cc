#include "serve/websocket_route.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>

#include "serve/http/errors.h"
#include "serve/json_body.h"
#include "serve/text_request.h"
#include "serve/translation_jobs.h"
#include "text/utf8.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;
namespace {

constexpr std::size_t kMaxTranslations = 256;  // at a time, of one socket
constexpr std::size_t kMaxIdBytes = 128;
// Answers that the client has not taken; beyond them nothing more is read of it.
constexpr std::size_t kMaxOutbox = 256;

std::string quoted(std::string_view text) { return json::serialize(json::string(text.data(), text.size())); }

std::string message(std::string_view type, std::string_view id, std::string_view more = "") {
  return fmt::format(R"({{"type":"{}","id":{}{}}})", type, quoted(id), more);
}

std::string error_message(std::string_view id, int status, std::string_view text) {
  const std::string body = error_response(status, text).body;  // {"error": {...}}
  return message("error", id, fmt::format(",{}", std::string_view(body).substr(1, body.size() - 2)));
}

// The beginning of what a client sent, for a message.
std::string shortened(std::string_view text) {
  constexpr std::size_t kShown = 40;
  if (text.size() <= kShown) return std::string(text);
  return std::string(text.substr(0, text::valid_utf8_prefix(text.substr(0, kShown)))) + "...";
}

base::Result<TextJob> parse_translate(const json::object& object,
                                      const translate::OfficialSampling& defaults) {
  const JsonFields fields(object);
  TextJob job;
  std::string from, to;
  if (!fields.has("text")) return base::invalid("text is missing");
  RETURN_IF_ERROR(fields.read("text", &job.text));
  RETURN_IF_ERROR(fields.read("from", &from));
  RETURN_IF_ERROR(fields.read("to", &to));
  RETURN_IF_ERROR(set_languages(from, to, job));
  RETURN_IF_ERROR(fields.read("context", &job.context));
  RETURN_IF_ERROR(fields.read("formatted", &job.formatted));
  RETURN_IF_ERROR(fields.read("seed", &job.seed));
  if (fields.has("glossary")) {
    ASSIGN_OR_RETURN(job.glossary, parse_terms(object.at("glossary")));
  }
  if (fields.has("temperature")) {
    float temperature = 0;
    RETURN_IF_ERROR(fields.read("temperature", &temperature));
    translate::OfficialSampling sampling = defaults;
    sampling.temperature = temperature;
    execute::Sampling check;
    check.temperature = temperature;
    RETURN_IF_ERROR(execute::check_sampling(check));
    job.sampling = sampling;
  }
  return job;
}

// One socket: what it asks for goes into jobs, what they say goes out.
class Conversation {
 public:
  Conversation(Service& service, const HttpRequest& http, MessageSocket& socket, asio::any_io_executor strand)
      : service_(service),
        trace_(http.trace),
        socket_(socket),
        pause_(strand),
        jobs_(service, http, strand, EngineCalls::Deltas::kEach) {}

  asio::awaitable<void> run() {
    using namespace asio::experimental::awaitable_operators;
    co_await (listen() || speak());
  }

 private:
  struct Running {
    std::string id;
    std::size_t bytes = 0;
    Clock::time_point start = Clock::now();
    std::optional<Clock::time_point> first{};
  };

  asio::awaitable<void> listen() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (true) {
      while (outbox_.size() >= kMaxOutbox) {
        const bool over = co_await cancelled();
        if (over) co_return;
        pause_.expires_after(std::chrono::milliseconds(20));
        co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
      }
      const std::optional<std::string> text = co_await socket_.read();
      if (!text) co_return;
      hear(*text);
      jobs_.wake();
    }
  }

  void hear(std::string_view text) {
    const base::Result<json::object> object = parse_json_body(text);
    if (!object.ok()) return say(error_message("", 400, object.status().message()));
    std::string type, id;
    const JsonFields fields(*object);
    base::Status status = fields.read("type", &type);
    if (status.ok()) status = fields.read("id", &id);
    if (!status.ok()) return say(error_message("", 400, status.message()));
    // What waits for the client to read must not be as large as what it sent.
    if (id.size() > kMaxIdBytes)
      return say(error_message("", 400, fmt::format("id is longer than {} bytes", kMaxIdBytes)));
    if (type == "ping") return say(R"({"type":"pong"})");
    if (type == "translate") return translate(id, *object);
    if (type == "cancel") return cancel(id);
    say(error_message(id, 400, "type is \"" + shortened(type) + "\", it must be translate, cancel or ping"));
  }

  void translate(const std::string& id, const json::object& object) {
    // Taken before the gate is looked at, as for a request: whoever closes it then waits for this one.
    if (!pass_) pass_ = std::make_unique<DrainGate::Pass>(service_.gate);
    if (service_.gate.closed()) return say(error_message(id, 503, "the server is shutting down"));
    if (running_.size() >= kMaxTranslations)
      return say(error_message(
          id, 429, fmt::format("{} translations are running on this socket, the limit", kMaxTranslations)));
    if (ids_.contains(id)) return say(error_message(id, 400, "a translation with this id is running"));
    translate::OfficialSampling defaults =
        translate::official_sampling(service_.engine.chat_template().family());
    base::Result<TextJob> parsed = parse_translate(object, defaults);
    if (!parsed.ok())
      return say(error_message(id, http_status(parsed.status().code()), parsed.status().message()));
    const std::size_t bytes = parsed->text.size() + parsed->context.size();
    const std::size_t limit = service_.limits.max_text_bytes;
    if (bytes > limit)
      return say(error_message(id, 400,
                               fmt::format("text and context have {} bytes, the limit is {}", bytes, limit)));
    if (bytes_ + bytes > limit)
      return say(error_message(
          id, 429,
          fmt::format("texts of {} bytes are running on this socket, the limit is {}", bytes_, limit)));
    if (service_.keep_texts) trace_->input += parsed->text + "\n";
    const base::Result<TranslationJobs::JobId> job = jobs_.add(std::move(parsed).value());
    if (!job.ok()) return say(error_message(id, http_status(job.status().code()), job.status().message()));
    running_.emplace(job.value(), Running{id, bytes});
    bytes_ += bytes;
    ids_.emplace(id, job.value());
    const TextResult& about = jobs_.about(job.value());
    say(message("start", id,
                fmt::format(R"(,"from":{},"confidence":{:.2f})", quoted(about.from), about.confidence)));
  }

  void cancel(const std::string& id) {
    const auto found = ids_.find(id);
    if (found == ids_.end()) return;  // it may have ended while the message was on its way
    jobs_.cancel(found->second);
  }

  asio::awaitable<void> speak() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (true) {
      while (!outbox_.empty()) {
        std::string text = std::move(outbox_.front());
        outbox_.pop_front();
        const bool written = co_await socket_.write(std::move(text));
        if (!written) co_return;
      }
      if (running_.empty()) pass_.reset();
      const std::optional<TranslationJobs::Change> change = co_await jobs_.next();
      const bool over = co_await cancelled();
      if (over) co_return;
      if (change) tell(*change);
    }
  }

  void tell(const TranslationJobs::Change& change) {
    Running& running = running_.at(change.job);
    const std::string id = running.id;
    if (!running.first && !change.text.empty()) running.first = Clock::now();
    if (change.replaced || !change.text.empty())
      say(message(change.replaced ? "replace" : "delta", id, R"(,"text":)" + quoted(change.text)));
    if (change.result) say(done(running, *change.result));
    if (change.failed.code() == base::Code::kCancelled) {
      say(message("cancelled", id));
    } else if (!change.failed.ok()) {
      say(error_message(id, http_status(change.failed.code()), change.failed.message()));
    }
    if (!change.result && change.failed.ok()) return;
    ids_.erase(id);
    bytes_ -= running.bytes;
    running_.erase(change.job);
  }

  std::string done(const Running& running, const TextResult& result) {
    const auto seconds = [&](Clock::time_point point) {
      return std::chrono::duration<double>(point - running.start).count();
    };
    if (service_.keep_texts) trace_->output += result.text + "\n";
    const double whole = seconds(Clock::now());
    std::string problems;
    for (const translate::Problem problem : result.problems)
      problems += fmt::format(R"({}"{}")", problems.empty() ? "" : ",", translate::problem_name(problem));
    return message(
        "done", running.id,
        fmt::format(R"(,"text":{},"from":{},"problems":[{}],"retried":{},"finish_reason":"{}",)"
                    R"("usage":{{"prompt_tokens":{},"completion_tokens":{},"cached_tokens":{}}},)"
                    R"("generation_time":{:.6f},"time_to_first_token":{:.6f},"tokens_per_second":{:.2f})",
                    quoted(result.text), quoted(result.from), problems, result.retried,
                    engine::finish_reason_name(result.finish), result.usage.prompt_tokens,
                    result.usage.completion_tokens, result.usage.cached_tokens, whole,
                    seconds(running.first.value_or(Clock::now())),
                    whole > 0 ? result.usage.completion_tokens / whole : 0.0));
  }

  void say(std::string text) { outbox_.push_back(std::move(text)); }

  Service& service_;
  const std::shared_ptr<Trace> trace_;
  MessageSocket& socket_;
  asio::steady_timer pause_;
  TranslationJobs jobs_;
  std::map<TranslationJobs::JobId, Running> running_;
  std::map<std::string, TranslationJobs::JobId> ids_;
  std::size_t bytes_ = 0;  // of the texts and contexts in `running_`
  std::deque<std::string> outbox_;
  std::unique_ptr<DrainGate::Pass> pass_;  // while something is translated or not yet told
};

asio::awaitable<void> converse(Service& service, const HttpRequest& http, MessageSocket& socket) {
  Conversation conversation(service, http, socket, co_await asio::this_coro::executor);
  co_await conversation.run();
}

}  // namespace

void add_websocket_route(Router& router, Service& service) {
  Route route;
  route.socket = [&service](const HttpRequest& request, MessageSocket& socket) {
    return converse(service, request, socket);
  };
  router.add("GET", "/ws", std::move(route));
}

}  // namespace pagoda::serve

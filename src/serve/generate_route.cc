#include "serve/generate_route.h"

#include <boost/asio/this_coro.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>

#include "base/random.h"
#include "serve/engine_calls.h"
#include "serve/http/errors.h"
#include "serve/http/sse.h"
#include "serve/json_body.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace {

// Each stop string is searched for in every piece of text.
constexpr std::size_t kMaxStopStrings = 16;

base::Result<std::vector<text::TokenId>> encode(const engine::Engine& engine, const GenerateRequest& parsed) {
  if (parsed.raw) return engine.tokenizer().encode_with_specials(parsed.prompt);
  return engine.chat_template().render(engine.tokenizer(), {{text::Role::kUser, parsed.prompt}});
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

HttpResponse whole(const engine::Completion& completion, double seconds) {
  if (completion.finish == engine::FinishReason::kError) return error_response(500, completion.error);
  if (completion.finish == engine::FinishReason::kCancelled)
    return error_response(http_status(base::Code::kCancelled), "the request was cancelled");
  HttpResponse response;
  response.body = generate_json(completion, seconds);
  return response;
}

// {"text": piece} ..., then what the whole answer has beside its text, then [DONE].
asio::awaitable<void> write_events(const Service& service, Trace& trace, EngineCalls& calls,
                                   std::chrono::steady_clock::time_point start, BodyWriter& writer) {
  while (true) {
    std::optional<CallEvent> event = co_await calls.next(service.limits.ping_interval);
    const bool over = co_await cancelled();
    if (over) co_return;
    std::string bytes;
    if (!event) {
      bytes = sse_ping();
    } else {
      if (service.keep_texts) trace.output += event->text;
      if (!event->text.empty())
        bytes = sse_event(R"({"text":)" + boost::json::serialize(boost::json::string(event->text)) + "}");
      if (event->finish == engine::FinishReason::kError) {
        bytes += sse_event(error_response(500, event->error).body);
      } else if (event->finish) {
        const engine::Completion rest{"", {}, *event->finish, "", event->usage, event->times};
        bytes += sse_event(generate_json(rest, seconds_since(start)));
      }
      if (event->finish) bytes += sse_done();
    }
    const bool written = co_await writer.write(std::move(bytes));
    if (!written || (event && event->finish)) co_return;
  }
}

asio::awaitable<HttpResponse> answer(Service& service, const HttpRequest& http) {
  base::Result<GenerateRequest> parsed = parse_generate(http.body);
  if (!parsed.ok()) co_return error_response(parsed.status());
  base::Result<std::vector<text::TokenId>> prompt = encode(service.engine, parsed.value());
  if (!prompt.ok()) co_return error_response(prompt.status());
  engine::Request request = std::move(parsed->request);
  request.prompt = std::move(prompt).value();
  if (service.keep_texts) http.trace->input = parsed->prompt;

  const auto start = std::chrono::steady_clock::now();
  if (!parsed->stream) {
    const base::Result<engine::Completion> completion = co_await complete(service, http, std::move(request));
    if (!completion.ok()) co_return error_response(completion.status());
    if (service.keep_texts) http.trace->output = completion->text;
    co_return whole(completion.value(), seconds_since(start));
  }
  auto calls = std::make_shared<EngineCalls>(service, http, co_await asio::this_coro::executor);
  const base::Result<CallId> call = calls->submit(std::move(request), EngineCalls::Deltas::kEach);
  if (!call.ok()) co_return error_response(call.status());
  HttpResponse response;
  response.content_type = kEventStream;
  response.stream = [&service, trace = http.trace, calls, start](BodyWriter& writer) {
    return write_events(service, *trace, *calls, start, writer);
  };
  co_return response;
}

}  // namespace

base::Result<GenerateRequest> parse_generate(std::string_view body) {
  ASSIGN_OR_RETURN(const boost::json::object object, parse_json_body(body));
  const JsonFields fields(object);
  GenerateRequest parsed;
  engine::Request& request = parsed.request;
  execute::Sampling& sampling = request.sampling;
  if (!fields.has("prompt")) return base::invalid("prompt is missing");
  RETURN_IF_ERROR(fields.read("prompt", &parsed.prompt));
  if (parsed.prompt.empty()) return base::invalid("prompt is empty");
  constexpr std::int64_t kMin = std::numeric_limits<std::int32_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  RETURN_IF_ERROR(fields.read("raw", &parsed.raw));
  RETURN_IF_ERROR(fields.read("stream", &parsed.stream));
  RETURN_IF_ERROR(fields.read("ignore_eos", &request.ignore_eos));
  RETURN_IF_ERROR(fields.read("max_tokens", 1, kMax, &request.max_tokens));
  RETURN_IF_ERROR(fields.read("priority", kMin, kMax, &request.priority));
  RETURN_IF_ERROR(fields.read("stop", kMaxStopStrings, &request.stop));
  for (const std::string& stop : request.stop)
    if (stop.empty()) return base::invalid("stop holds an empty string");
  RETURN_IF_ERROR(fields.read("temperature", &sampling.temperature));
  RETURN_IF_ERROR(fields.read("top_p", &sampling.top_p));
  RETURN_IF_ERROR(fields.read("top_k", -1, kMax, &sampling.top_k));
  RETURN_IF_ERROR(fields.read("min_p", &sampling.min_p));
  RETURN_IF_ERROR(fields.read("repetition_penalty", &sampling.repetition_penalty));
  std::optional<std::uint64_t> seed;
  RETURN_IF_ERROR(fields.read("seed", &seed));
  sampling.seed = seed ? *seed : base::random_u64();
  // The engine would refuse them too, but only after the prompt was encoded.
  RETURN_IF_ERROR(execute::check_sampling(sampling));
  return parsed;
}

std::string generate_json(const engine::Completion& completion, double seconds) {
  const double rate = seconds > 0 ? completion.usage.completion_tokens / seconds : 0;
  // Written by hand because Boost.JSON spells 1.5 as 1.5E0.
  return fmt::format(
      R"({{"text":{},"generation_time":{:.6f},"tokens_per_second":{:.2f},"finish_reason":"{}",)"
      R"("usage":{{"prompt_tokens":{},"completion_tokens":{},"cached_tokens":{}}}}})",
      boost::json::serialize(boost::json::string(completion.text)), seconds, rate,
      engine::finish_reason_name(completion.finish), completion.usage.prompt_tokens,
      completion.usage.completion_tokens, completion.usage.cached_tokens);
}

void add_generate_route(Router& router, Service& service) {
  router.add("POST", "/generate",
             {[&service](const HttpRequest& request) { return answer(service, request); }});
}

}  // namespace pagoda::serve

#include "serve/generate_route.h"

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <chrono>
#include <limits>
#include <random>

#include "serve/engine_call.h"
#include "serve/errors.h"
#include "serve/json_body.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace {

// Each stop string is searched for in every piece of text.
constexpr std::size_t kMaxStopStrings = 16;

std::uint64_t random_seed() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seeds{device(), device(), device(), device()};
    return std::mt19937_64(seeds);
  }();
  return generator();
}

base::Result<std::vector<text::TokenId>> encode(const engine::Engine& engine, const GenerateRequest& parsed) {
  if (parsed.raw) return engine.tokenizer().encode_with_specials(parsed.prompt);
  return engine.chat_template().render(engine.tokenizer(), {{text::Role::kUser, parsed.prompt}});
}

asio::awaitable<HttpResponse> answer(engine::Engine& engine, const HttpRequest& http) {
  base::Result<GenerateRequest> parsed = parse_generate(http.body);
  if (!parsed.ok()) co_return error_response(parsed.status());
  base::Result<std::vector<text::TokenId>> prompt = encode(engine, parsed.value());
  if (!prompt.ok()) co_return error_response(prompt.status());
  engine::Request request = std::move(parsed->request);
  request.prompt = std::move(prompt).value();

  const auto start = std::chrono::steady_clock::now();
  const base::Result<engine::Completion> completion = co_await complete(engine, std::move(request));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!completion.ok()) co_return error_response(completion.status());
  if (completion.value().finish == engine::FinishReason::kError)
    co_return error_response(500, completion.value().error);
  if (completion.value().finish == engine::FinishReason::kCancelled)
    co_return error_response(http_status(base::Code::kCancelled), "the request was cancelled");
  HttpResponse response;
  response.body = generate_json(completion.value(), seconds.count());
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
  sampling.seed = seed ? *seed : random_seed();
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

void add_generate_route(Router& router, engine::Engine& engine) {
  router.add("POST", "/generate",
             {[&engine](const HttpRequest& request) { return answer(engine, request); }});
}

}  // namespace pagoda::serve

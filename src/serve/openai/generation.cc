#include "serve/openai/generation.h"

#include <algorithm>
#include <ctime>

#include "base/random.h"
#include "serve/http/errors.h"
#include "serve/http/sse.h"

namespace pagoda::serve {
namespace asio = boost::asio;
using engine::FinishReason;

OpenAiHead openai_head(const Service& service, const HttpRequest& http, OpenAiKind kind) {
  return {kind, http.id, std::time(nullptr), service.model_name, service.version};
}

OpenAiError openai_failure(FinishReason finish, const std::string& error) {
  OpenAiError failure;
  failure.status = finish == FinishReason::kError ? 500 : 503;
  failure.message = finish == FinishReason::kError ? error : "the server ended the request";
  return failure;
}

OpenAiGeneration::OpenAiGeneration(Service& service, const HttpRequest& http, asio::any_io_executor strand,
                                   OpenAiRequest request)
    : service_(service),
      http_(http),
      request_(std::move(request)),
      head_(openai_head(service, http, request_.kind)),
      calls_(service, http, std::move(strand)) {}

base::Result<std::vector<text::TokenId>> OpenAiGeneration::encode(std::size_t prompt) const {
  const engine::Engine& engine = service_.engine;
  if (request_.kind == OpenAiKind::kChat)
    return engine.chat_template().render(engine.tokenizer(), request_.messages);
  if (const auto* text = std::get_if<std::string>(&request_.prompts[prompt]))
    return engine.tokenizer().encode_with_specials(*text);
  return std::get<std::vector<text::TokenId>>(request_.prompts[prompt]);
}

std::optional<OpenAiError> OpenAiGeneration::submit() {
  if (!request_.seed) request_.seed = base::random_u64();
  const std::size_t prompts = request_.kind == OpenAiKind::kChat ? 1 : request_.prompts.size();
  for (std::size_t i = 0; i < prompts; ++i)
    if (std::optional<OpenAiError> error = submit_prompt(i)) return error;
  if (service_.keep_texts) http_.trace->input = log_input();
  return std::nullopt;
}

std::optional<OpenAiError> OpenAiGeneration::submit_prompt(std::size_t number) {
  base::Result<std::vector<text::TokenId>> prompt = encode(number);
  if (!prompt.ok()) return openai_error(prompt.status());
  engine::Request request = request_.request;
  const std::int32_t max_model_len = service_.engine.limits().max_model_len;
  const std::int64_t answer = std::max(request.max_tokens, 1);
  if (static_cast<std::int64_t>(prompt->size()) + answer > max_model_len)
    return openai_context_error(prompt->size(), request.max_tokens, max_model_len,
                                request_.kind == OpenAiKind::kChat ? "messages" : "prompt");
  const text::Tokenizer& tokenizer = service_.engine.tokenizer();
  if (request_.echo) {
    const auto* text = std::get_if<std::string>(&request_.prompts[number]);
    echoes_.push_back(text != nullptr ? *text : tokenizer.decode(*prompt));
  }
  usage_.prompt_tokens += static_cast<std::int32_t>(prompt->size());
  request.prompt = std::move(prompt).value();
  for (std::int32_t i = 0; i < request_.n; ++i) {
    request.sampling.seed = openai_choice_seed(*request_.seed, i);
    const base::Result<CallId> call =
        calls_.submit(request, request_.stream ? EngineCalls::Deltas::kEach : EngineCalls::Deltas::kAtEnd);
    if (!call.ok()) return openai_error(call.status());
    choices_.push_back({call.value(), number, false, 0, AnswerTokens(tokenizer)});
  }
  return std::nullopt;
}

std::size_t OpenAiGeneration::choice_of(CallId call) const {
  // Ids grow in the order of submission.
  const auto found =
      std::lower_bound(choices_.begin(), choices_.end(), call,
                       [](const Choice& choice, CallId wanted) { return choice.call < wanted; });
  return static_cast<std::size_t>(found - choices_.begin());
}

std::string OpenAiGeneration::take_logprobs(Choice& choice, CallEvent& event) {
  choice.answer_bytes += event.text.size();
  if (!request_.wants_logprobs()) return "null";
  const auto ends_answer = [&](text::TokenId token) {
    const auto contains = [token](const std::vector<text::TokenId>& ids) {
      return std::find(ids.begin(), ids.end(), token) != ids.end();
    };
    return contains(request_.request.stop_token_ids) ||
           (!request_.request.ignore_eos && contains(service_.engine.chat_template().stop_ids()));
  };
  const bool by_token = event.finish == FinishReason::kStop && !event.tokens.empty() &&
                        ends_answer(text::TokenId(event.tokens.back().token));
  choice.tokens.add(std::move(event.tokens));
  if (by_token) choice.tokens.drop_last();
  const bool all = by_token || event.finish == FinishReason::kLength;
  const std::vector<PlacedToken> tokens =
      all ? choice.tokens.take_all() : choice.tokens.take(choice.answer_bytes);
  if (tokens.empty() && request_.stream) return "null";
  return openai_logprobs(request_.kind, service_.engine.tokenizer(), tokens);
}

void OpenAiGeneration::count(const Choice& choice, std::size_t index, const CallEvent& event) {
  usage_.completion_tokens += event.usage.completion_tokens;
  const bool first = index == 0 || choices_[index - 1].prompt != choice.prompt;
  if (first) usage_.cached_tokens += event.usage.cached_tokens;
}

std::string OpenAiGeneration::log_input() const {
  if (request_.kind == OpenAiKind::kChat) return request_.messages.back().content;
  std::string texts;
  for (const OpenAiPrompt& prompt : request_.prompts)
    if (const auto* text = std::get_if<std::string>(&prompt)) texts += *text + "\n";
  return texts;
}

asio::awaitable<HttpResponse> OpenAiGeneration::whole() {
  std::vector<OpenAiChoice> answers(choices_.size());
  while (calls_.live() > 0) {
    std::optional<CallEvent> event = co_await calls_.next();
    const bool over = co_await cancelled();
    if (over)
      co_return openai_error_response(http_status(base::Code::kCancelled), "the request was cancelled");
    if (!event || !event->finish) continue;
    if (*event->finish == FinishReason::kError || *event->finish == FinishReason::kCancelled)
      co_return openai_response(openai_failure(*event->finish, event->error));
    const std::size_t index = choice_of(event->call);
    Choice& choice = choices_[index];
    OpenAiChoice& answer = answers[index];
    answer.logprobs = take_logprobs(choice, *event);
    answer.finish = *event->finish;
    count(choice, index, *event);
    if (service_.keep_texts) http_.trace->output += event->text;
    if (request_.echo) answer.text = echoes_[choice.prompt];
    answer.text += event->text;
  }
  HttpResponse response;
  response.body = openai_answer_json(head_, answers, usage_);
  co_return response;
}

asio::awaitable<void> OpenAiGeneration::stream(BodyWriter& writer) {
  const OpenAiEvents events(head_, request_.include_usage);
  while (calls_.live() > 0) {
    std::optional<CallEvent> event = co_await calls_.next(service_.limits.ping_interval);
    const bool over = co_await cancelled();
    if (over) co_return;
    std::string bytes;
    bool failed = false;
    if (!event) {
      bytes = sse_ping();
    } else {
      const std::size_t index = choice_of(event->call);
      Choice& choice = choices_[index];
      failed = event->finish == FinishReason::kError || event->finish == FinishReason::kCancelled;
      if (!choice.begun) {
        events.begin(index, bytes);
        if (request_.echo) events.text(index, echoes_[choice.prompt], "null", bytes);
        choice.begun = true;
      }
      const std::string logprobs = take_logprobs(choice, *event);
      if (!event->text.empty() || logprobs != "null") events.text(index, event->text, logprobs, bytes);
      if (service_.keep_texts) http_.trace->output += event->text;
      if (failed) {
        bytes += sse_event(openai_error_json(openai_failure(*event->finish, event->error))) + sse_done();
      } else if (event->finish) {
        events.finish(index, *event->finish, bytes);
        count(choice, index, *event);
        if (calls_.live() == 0) events.end(usage_, bytes);
      }
    }
    if (bytes.empty()) continue;  // half a character, or half a stop string
    const bool written = co_await writer.write(std::move(bytes));
    if (!written || failed) co_return;
  }
}

}  // namespace pagoda::serve

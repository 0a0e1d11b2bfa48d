#pragma once
// Choices on their way: the prompts of one request, each n times, through the engine into OpenAI's shapes.
// Belongs to the connection's strand.

#include <memory>
#include <optional>

#include "serve/engine_calls.h"
#include "serve/openai/errors.h"
#include "serve/openai/json.h"
#include "serve/openai/logprobs.h"
#include "serve/openai/request.h"

namespace pagoda::serve {

// The parts of an answer's head that the service and the request give.
OpenAiHead openai_head(const Service& service, const HttpRequest& http, OpenAiKind kind);

class OpenAiGeneration {
 public:
  OpenAiGeneration(Service& service, const HttpRequest& http, boost::asio::any_io_executor strand,
                   OpenAiRequest request);

  // Encodes, checks, and gives everything to the engine; nothing is left there after an error.
  std::optional<OpenAiError> submit();
  boost::asio::awaitable<HttpResponse> whole();
  boost::asio::awaitable<void> stream(BodyWriter& writer);

 private:
  struct Choice {
    CallId call;
    std::size_t prompt = 0;  // its number
    bool begun = false;
    std::size_t answer_bytes = 0;  // so far
    AnswerTokens tokens;
  };

  base::Result<std::vector<text::TokenId>> encode(std::size_t prompt) const;
  std::optional<OpenAiError> submit_prompt(std::size_t number);
  std::size_t choice_of(CallId call) const;
  // "null", or the JSON of the tokens whose text has come.
  std::string take_logprobs(Choice& choice, CallEvent& event);
  // Once a choice is over.
  void count(const Choice& choice, std::size_t index, const CallEvent& event);
  std::string log_input() const;

  Service& service_;
  const HttpRequest& http_;
  OpenAiRequest request_;
  OpenAiHead head_;
  EngineCalls calls_;
  std::vector<std::string> echoes_;  // by prompt; empty without echo
  std::vector<Choice> choices_;
  engine::Usage usage_;  // prompts count once, however many choices they have
};

// 500 for kError, 503 when the engine ended a request that nobody cancelled.
OpenAiError openai_failure(engine::FinishReason finish, const std::string& error);

}  // namespace pagoda::serve

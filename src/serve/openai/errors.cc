#include "serve/openai/errors.h"

#include <algorithm>
#include <array>

#include "serve/http/errors.h"
#include "serve/json_text.h"

namespace pagoda::serve {
namespace {

constexpr std::array<std::string_view, 31> kFields = {"best_of",
                                                      "echo",
                                                      "frequency_penalty",
                                                      "functions",
                                                      "ignore_eos",
                                                      "logit_bias",
                                                      "logprobs",
                                                      "max_completion_tokens",
                                                      "max_tokens",
                                                      "messages",
                                                      "min_p",
                                                      "model",
                                                      "modalities",
                                                      "n",
                                                      "presence_penalty",
                                                      "prompt",
                                                      "repetition_penalty",
                                                      "response_format",
                                                      "seed",
                                                      "stop",
                                                      "stop_token_ids",
                                                      "stream",
                                                      "stream_options",
                                                      "suffix",
                                                      "temperature",
                                                      "tools",
                                                      "top_k",
                                                      "top_logprobs",
                                                      "top_p",
                                                      "translation_options",
                                                      "tool_choice"};

// "messages[1].content is null, ..." -> "messages[1].content"; empty if the message is about no field.
std::string field_of(std::string_view message) {
  const std::string_view word = message.substr(0, message.find_first_of(" :,"));
  const std::string_view root = word.substr(0, word.find_first_of(".["));
  const bool known = std::find(kFields.begin(), kFields.end(), root) != kFields.end();
  return known ? std::string(word) : "";
}

// What OpenAI's service says where it differs from our own names of types.
std::string_view type_of(int status) {
  return status == 401 || status == 403 || status == 404 ? "invalid_request_error" : error_type(status);
}

std::string_view default_code(int status) {
  switch (status) {
    case 401:
      return "invalid_api_key";
    case 429:
      return "rate_limit_exceeded";
    default:
      return "";
  }
}

std::string or_null(std::string_view text) { return text.empty() ? "null" : json_string(text); }

}  // namespace

OpenAiError openai_error(const base::Status& status) {
  const bool unsupported = status.code() == base::Code::kUnimplemented;
  OpenAiError error;
  error.status = unsupported ? 400 : http_status(status.code());
  error.message = status.message();
  if (error.status == 400) error.param = field_of(error.message);
  if (unsupported) error.code = "unsupported_parameter";
  return error;
}

OpenAiError openai_context_error(std::size_t prompt_tokens, std::int32_t max_tokens,
                                 std::int32_t max_model_len, std::string_view where) {
  const std::size_t answer = max_tokens > 0 ? static_cast<std::size_t>(max_tokens) : 1;
  OpenAiError error;
  error.message = fmt::format(
      "This model's maximum context length is {} tokens. However, you requested {} tokens ({} in the {}, {} "
      "in "
      "the completion). Please reduce the length of the {} or completion.",
      max_model_len, prompt_tokens + answer, prompt_tokens, where, answer, where);
  error.param = where;
  error.code = "context_length_exceeded";
  return error;
}

std::string openai_error_json(const OpenAiError& error) {
  return fmt::format(R"({{"error":{{"message":{},"type":"{}","param":{},"code":{}}}}})",
                     json_string(error.message), type_of(error.status), or_null(error.param),
                     or_null(error.code.empty() ? default_code(error.status) : error.code));
}

HttpResponse openai_response(const OpenAiError& error) {
  HttpResponse response;
  response.status = error.status;
  response.body = openai_error_json(error);
  add_error_headers(response);
  return response;
}

HttpResponse openai_error_response(int status, std::string_view message) {
  OpenAiError error;
  error.status = status;
  error.message = message;
  return openai_response(error);
}

}  // namespace pagoda::serve

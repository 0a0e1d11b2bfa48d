#pragma once
// Failures in OpenAI's shape: {"error": {"message": "...", "type": "...", "param": ..., "code": ...}}. Pure;
// any thread.

#include <string>
#include <string_view>

#include "base/status.h"
#include "serve/http/http_message.h"

namespace pagoda::serve {

struct OpenAiError {
  int status = 400;
  std::string message;
  std::string param;  // the field of the request; empty: null
  std::string code;   // "model_not_found", "context_length_exceeded", ...; empty: null
};

// Messages about a field begin with its name, which becomes `param`. kUnimplemented is a field that we know
// and do not support: 400 unsupported_parameter.
OpenAiError openai_error(const base::Status& status);
// The prompt has no room. `where`: "messages" or "prompt"; `max_tokens` 0: as many as fit.
OpenAiError openai_context_error(std::size_t prompt_tokens, std::int32_t max_tokens,
                                 std::int32_t max_model_len, std::string_view where);

// {"error": {...}}, also an event of a stream.
std::string openai_error_json(const OpenAiError& error);
HttpResponse openai_response(const OpenAiError& error);
HttpResponse openai_error_response(int status, std::string_view message);  // an ErrorShape

}  // namespace pagoda::serve

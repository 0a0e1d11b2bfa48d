#pragma once
// Failures as HTTP says them: a code, and one JSON shape for our own routes (docs/errors.md):
//   {"error": {"code": 400, "type": "invalid_request_error", "message": "max_tokens is a string, ..."}}
// Dialects of others have shapes of their own, each a function like error_response. Pure; any thread.

#include <string>
#include <string_view>

#include "base/status.h"
#include "serve/http/http_message.h"

namespace pagoda::serve {

using ErrorShape = HttpResponse (*)(int status, std::string_view message);

int http_status(base::Code code);
// The name that programs compare with: "invalid_request_error", "rate_limit_error", ...
std::string_view error_type(int status);

HttpResponse error_response(int status, std::string_view message);
HttpResponse error_response(const base::Status& status);
// For dialects: 429 and 503 carry Retry-After, as the same request may succeed a second later; 401 says which
// kind of key is wanted.
void add_error_headers(HttpResponse& response);

}  // namespace pagoda::serve

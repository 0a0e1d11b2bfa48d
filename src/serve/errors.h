#pragma once
// Failures as HTTP says them: a code, and one JSON shape for all of them (docs/errors.md):
//   {"error": {"code": 400, "type": "invalid_request_error", "message": "max_tokens is a string, ..."}}
// Pure functions; any thread.

#include <string>
#include <string_view>

#include "base/status.h"
#include "serve/http_message.h"

namespace pagoda::serve {

int http_status(base::Code code);
// The name that programs compare with: "invalid_request_error", "rate_limit_error", ...
std::string_view error_type(int status);

// 429 and 503 carry Retry-After: the same request may succeed a second later.
HttpResponse error_response(int status, std::string_view message);
HttpResponse error_response(const base::Status& status);

}  // namespace pagoda::serve

#pragma once
// How each translation dialect writes a failure. Where a dialect says 403 for a key that is not known, its
// shape turns 401 into that. All carry Retry-After with 429 and 503. Pure; any thread.

#include <string_view>

#include "serve/http/errors.h"
#include "serve/http/http_message.h"

namespace pagoda::serve {

HttpResponse libretranslate_error(int status, std::string_view message);  // {"error": "..."}
HttpResponse deepl_error(int status, std::string_view message);           // {"message": "..."}
HttpResponse deeplx_error(int status, std::string_view message);          // {"code": 400, "message": "..."}
HttpResponse plugin_error(int status, std::string_view message);          // {"error": "..."}, 401 stays
// {"error": {"code": 400, "message": "...", "status": "INVALID_ARGUMENT", "errors": [...]}}
HttpResponse google_error(int status, std::string_view message);
// POST /translate before it is known who asks: {"error": "...", "code": 400, "message": "..."}
HttpResponse shared_error(int status, std::string_view message);

}  // namespace pagoda::serve

#pragma once
// OpenAI's dialect: /v1/chat/completions, /v1/completions and /v1/models, for OpenAI's own clients and all
// that speak like them (docs/api-openai.md).

#include "serve/http/router.h"
#include "serve/service.h"

namespace pagoda::serve {

// `service` must outlive the router.
void add_openai_routes(Router& router, Service& service);

}  // namespace pagoda::serve

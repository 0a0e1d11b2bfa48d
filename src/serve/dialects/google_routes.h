#pragma once
// Google Translate as its v2 API and as the endpoint that its web clients use (translate_a/single).

#include "serve/dialects/dialect.h"

namespace pagoda::serve {

void add_google_routes(Router& router, Service& service);

}  // namespace pagoda::serve

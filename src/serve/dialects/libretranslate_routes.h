#pragma once
// LibreTranslate: GET /languages, GET /frontend/settings, and the handlers of what it shares with other
// dialects (translate_route.h): POST /translate with q, and /detect with q.

#include "serve/dialects/dialect.h"

namespace pagoda::serve {

// More are refused; each costs a translation of the whole text.
inline constexpr std::int32_t kMaxAlternatives = 8;

struct LibreTranslateRequest {
  TextsRequest texts;
  bool batch = false;  // q is an array, so the answer is one
  std::int32_t alternatives = 0;
};
base::Result<LibreTranslateRequest> parse_libretranslate(const RequestFields& fields,
                                                         const ServiceLimits& limits);

DialectAnswer libretranslate_translate(const DialectCall& call);
DialectAnswer libretranslate_detect(const DialectCall& call);
void add_libretranslate_routes(Router& router, Service& service);

}  // namespace pagoda::serve

#pragma once
// DeepL's API, version 2: /v2/translate, /v2/languages, /v2/usage. Its glossaries are in
// deepl_glossary_routes.h.

#include "serve/dialects/dialect.h"
#include "serve/storage/client_data.h"

namespace pagoda::serve {

struct DeepLRequest {
  TextsRequest texts;
  std::vector<std::string> glossary_ids;  // the first that has a term wins
  bool show_billed_characters = false;
  std::string model_type;  // "quality_optimized", "latency_optimized"; empty: not asked for
};
base::Result<DeepLRequest> parse_deepl(const RequestFields& fields, const ServiceLimits& limits);
// Characters as DeepL counts them: code points.
std::int64_t count_characters(std::string_view utf8);

// `service` and `data` must outlive the router.
void add_deepl_routes(Router& router, Service& service, ClientData& data);

}  // namespace pagoda::serve

#include "serve/dialects/translate_route.h"

#include "serve/dialects/deeplx_routes.h"
#include "serve/dialects/dialect_errors.h"
#include "serve/dialects/libretranslate_routes.h"
#include "serve/dialects/plugin_routes.h"

namespace pagoda::serve {
namespace {

struct Dialect {
  DialectAnswer (*handler)(const DialectCall&);
  ErrorShape error;
};

base::Result<Dialect> dialect_of(const RequestFields& fields) {
  if (fields.has("q")) return Dialect{&libretranslate_translate, &libretranslate_error};
  if (fields.has("text_list")) return Dialect{&immersive_translate, &plugin_error};
  if (fields.has("texts")) return Dialect{&kiss_translate, &plugin_error};
  if (fields.has("text") && fields.has("target_lang")) return Dialect{&deeplx_translate, &deeplx_error};
  if (fields.has("text") && fields.has("destination")) return Dialect{&hcfy_translate, &plugin_error};
  if (fields.has("text") && fields.has("to")) return Dialect{&mtran_translate, &plugin_error};
  return base::invalid(
      "Invalid request: missing q parameter (nor is there text_list, texts, or text with target_lang, "
      "destination or to)");
}

DialectAnswer translate(const DialectCall& call) {
  const base::Result<Dialect> dialect = dialect_of(call.fields);
  if (!dialect.ok()) co_return dialect.status();
  base::Result<HttpResponse> response = co_await dialect->handler(call);
  if (!response.ok())
    co_return dialect->error(http_status(response.status().code()), response.status().message());
  co_return response;
}

DialectAnswer detect_language(const DialectCall& call) {
  const bool mtran = !call.fields.has("q") && call.fields.has("text");
  return mtran ? mtran_detect(call) : libretranslate_detect(call);
}

}  // namespace

void add_translate_route(Router& router, Service& service) {
  router.add("POST", "/translate", dialect_route(service, &shared_error, &translate));
  router.add("POST", "/detect", dialect_route(service, &libretranslate_error, &detect_language));
}

}  // namespace pagoda::serve

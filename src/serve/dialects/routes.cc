#include "serve/dialects/routes.h"

#include "serve/dialects/deepl_glossary_routes.h"
#include "serve/dialects/deepl_routes.h"
#include "serve/dialects/deeplx_routes.h"
#include "serve/dialects/google_routes.h"
#include "serve/dialects/libretranslate_routes.h"
#include "serve/dialects/plugin_routes.h"
#include "serve/dialects/translate_route.h"

namespace pagoda::serve {

void add_dialect_routes(Router& router, Service& service, ClientData& data) {
  add_translate_route(router, service);
  add_libretranslate_routes(router, service);
  add_deepl_routes(router, service, data);
  add_deepl_glossary_routes(router, service, data);
  add_deeplx_routes(router, service);
  add_plugin_routes(router, service);
  add_google_routes(router, service);
}

}  // namespace pagoda::serve

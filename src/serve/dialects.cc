#include "serve/dialects.h"

#include "serve/deepl_glossary_routes.h"
#include "serve/deepl_routes.h"
#include "serve/deeplx_routes.h"
#include "serve/google_routes.h"
#include "serve/libretranslate_routes.h"
#include "serve/plugin_routes.h"
#include "serve/translate_route.h"

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

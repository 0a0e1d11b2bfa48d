#pragma once
// DeepLX: one text, the key in the address if need be. /deeplx, /v1/translate and /{token}/translate are its
// alone; POST /translate with text and target_lang comes from translate_route.h.

#include "serve/dialects/dialect.h"

namespace pagoda::serve {

DialectAnswer deeplx_translate(const DialectCall& call);
void add_deeplx_routes(Router& router, Service& service);

}  // namespace pagoda::serve

#pragma once
// DeepL's glossaries, version 2: /v2/glossaries and below, /v2/glossary-language-pairs. Each client sees its
// own.

#include "serve/dialects/dialect.h"
#include "serve/storage/client_data.h"

namespace pagoda::serve {

// `service` and `data` must outlive the router.
void add_deepl_glossary_routes(Router& router, Service& service, ClientData& data);

}  // namespace pagoda::serve

#pragma once
// POST /translate and /detect, which several dialects share. What a request wants to be is told by its
// fields:
//   /translate  q: LibreTranslate            text_list: Immersive Translate     texts: KISS
//               text + target_lang: DeepLX   text + destination: HCFY           text + to: MTranServer and
//                                                                               LinguaSpark
//   /detect     q: LibreTranslate            text: MTranServer

#include "serve/dialects/dialect.h"

namespace pagoda::serve {

void add_translate_route(Router& router, Service& service);

}  // namespace pagoda::serve

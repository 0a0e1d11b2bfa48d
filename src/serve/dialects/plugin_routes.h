#pragma once
// The shapes that browser plugins and MTranServer speak, each on paths of its own; those that share
// POST /translate and /detect are asked by translate_route.h. They differ in names of fields and languages.

#include "serve/dialects/dialect.h"

namespace pagoda::serve {

// {source_lang, target_lang, text_list} -> {"translations": [{"detected_source_lang", "text"}]}
DialectAnswer immersive_translate(const DialectCall& call);
// {text, from, to} -> {"text", "src"}; {texts, from, to} -> {"translations": [{"text", "src"}]}
DialectAnswer kiss_translate(const DialectCall& call);
// {text, source, destination} with Chinese names of languages -> {"text", "from", "to", "result"}. Translates
// into the second destination what is in the first already.
DialectAnswer hcfy_translate(const DialectCall& call);
// {text, from, to, html} -> {"result", "text", "from", "to", "src"}: MTranServer reads the first, LinguaSpark
// and KISS the second.
DialectAnswer mtran_translate(const DialectCall& call);
// {texts, from, to, html} -> {"results": [...]}
DialectAnswer mtran_batch(const DialectCall& call);
// {text} -> {"language", "confidence"}, confidence from 0 to 1
DialectAnswer mtran_detect(const DialectCall& call);

void add_plugin_routes(Router& router, Service& service);

}  // namespace pagoda::serve

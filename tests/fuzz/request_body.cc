// Any body of any content type becomes fields or an error; entries of glossaries, HTML and tags likewise. The
// first line is the content type.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "serve/dialects/form_body.h"
#include "serve/dialects/glossary_entries.h"
#include "serve/dialects/html_text.h"
#include "serve/dialects/numbered_tags.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pagoda;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const std::string_view type = line == std::string_view::npos ? "" : text.substr(0, line);
  const std::string_view body = line == std::string_view::npos ? text : text.substr(line + 1);
  static_cast<void>(serve::parse_body_fields(type, body));
  // What was accepted must be read the same when it is written again.
  for (const auto parse : {&serve::parse_glossary_tsv, &serve::parse_glossary_csv}) {
    const auto terms = parse(body);
    if (!terms.ok()) continue;
    const auto again = serve::parse_glossary_tsv(serve::glossary_tsv(*terms));
    CHECK(again.ok());
    CHECK(*again == *terms);
  }
  if (const auto plain = serve::plain_text_of_html(body))
    CHECK(serve::plain_text_of_html(serve::html_of_plain_text(*plain)) == plain);
  const serve::NumberedTags tags = serve::to_model_tags(body);
  CHECK(serve::from_model_tags(tags.text, tags.names) == body);
  return 0;
}

// Bodies and queries, without sockets: the JSON layer and the parsers on top of it. What they refuse they
// refuse in one sentence of UTF-8; what they take can be written out again.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "serve/generate_route.h"
#include "serve/http/errors.h"
#include "serve/http/query.h"
#include "serve/json_body.h"
#include "serve/text_request.h"
#include "text/utf8.h"

namespace {

using namespace pagoda;
namespace json = boost::json;

// The answer that this refusal becomes must be JSON.
void check_refusal(const base::Status& status) {
  if (status.ok()) return;
  CHECK(!status.message().empty());
  const serve::HttpResponse response = serve::error_response(status);
  CHECK(response.status == 400);
  json::error_code error;
  json::parse(response.body, error);
  CHECK(!error);
}

void try_generate(std::string_view body) {
  const auto parsed = serve::parse_generate(body);
  check_refusal(parsed.status());
  if (!parsed.ok()) return;
  CHECK(!parsed->prompt.empty() && parsed->request.max_tokens >= 0);
  engine::Completion completion;
  completion.text = parsed->prompt;
  json::error_code error;
  const json::value again = json::parse(serve::generate_json(completion, 0.5), error);
  CHECK(!error && again.at("text").as_string() == parsed->prompt);
}

void try_fields(std::string_view body) {
  const auto object = serve::parse_json_body(body);
  check_refusal(object.status());
  if (!object.ok()) return;
  const serve::JsonFields fields(object.value());
  for (const auto& [key, value] : object.value()) {
    const std::string_view name(key.data(), key.size());
    bool flag = false;
    float number = 0;
    std::int32_t integer = 5;
    std::string text;
    std::optional<std::uint64_t> seed;
    std::vector<std::string> list;
    check_refusal(fields.read(name, &flag));
    check_refusal(fields.read(name, &number));
    check_refusal(fields.read(name, 0, 10, &integer));
    CHECK(integer >= 0 && integer <= 10);
    check_refusal(fields.read(name, &text));
    CHECK(text::valid_utf8_prefix(text) == text.size());
    check_refusal(fields.read(name, &seed));
    check_refusal(fields.read(name, std::size_t{3}, &list));
    CHECK(list.size() <= 3);
    serve::TextJob job;
    const base::Status languages = serve::set_languages(text, text, job);
    check_refusal(languages);
    CHECK(languages.ok() == (job.to != nullptr));
    const auto terms = serve::parse_terms(value);
    check_refusal(terms.status());
    if (terms.ok() && terms.value()) static_cast<void>(terms.value()->matches(body));
  }
}

void try_query(std::string_view text) {
  CHECK(serve::percent_decode(text).size() <= text.size());
  std::size_t bytes = 0;
  for (const auto& [name, value] : serve::parse_query(text)) {
    bytes += name.size() + value.size();
    CHECK(serve::query_value(text, name).has_value());
  }
  CHECK(bytes <= text.size());
  serve::TextJob job;
  check_refusal(serve::set_languages(serve::percent_decode(text), text, job));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_generate(input);
  try_fields(input);
  try_query(input);
  return 0;
}

#include "serve/dialects/deeplx_routes.h"

#include "base/random.h"
#include "serve/dialects/dialect_errors.h"
#include "serve/dialects/language_codes.h"

namespace pagoda::serve {
namespace {

base::Result<TextsRequest> parse(const RequestFields& fields) {
  TextsRequest request;
  request.texts.resize(1);
  RETURN_IF_ERROR(fields.require("text", &request.texts[0]));
  RETURN_IF_ERROR(read_languages(fields, "source_lang", "target_lang", request.pattern));
  std::string tags;
  RETURN_IF_ERROR(fields.read("tag_handling", &tags));
  if (!tags.empty() && tags != "html" && tags != "xml")
    return base::invalid("tag_handling is \"{}\", it must be html or xml", tags);
  request.html = !tags.empty();
  return request;
}

}  // namespace

DialectAnswer deeplx_translate(const DialectCall& call) {
  const base::Result<TextsRequest> request = parse(call.fields);
  if (!request.ok()) co_return request.status();
  const base::Result<TextResult> result = co_await translate_one(call, *request);
  if (!result.ok()) co_return result.status();
  std::string target;
  const base::Status status = call.fields.read("target_lang", &target);
  if (!status.ok()) co_return status;
  // Ten digits, as DeepLX's ids have.
  const auto id = static_cast<std::int64_t>(base::random_u64() % 9'000'000'000u + 1'000'000'000u);
  co_return json_answer({{"code", 200},
                         {"id", id},
                         {"data", result->text},
                         {"alternatives", boost::json::array()},
                         {"source_lang", deepl_code(result->from)},
                         {"target_lang", target},
                         {"method", "Free"}});
}

void add_deeplx_routes(Router& router, Service& service) {
  for (const char* path : {"/deeplx", "/v1/translate", "/{token}/translate"})
    router.add("POST", path, dialect_route(service, &deeplx_error, &deeplx_translate));
}

}  // namespace pagoda::serve

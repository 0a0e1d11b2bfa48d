#include "serve/dialects/plugin_routes.h"

#include <utility>

#include "serve/dialects/dialect_errors.h"
#include "serve/dialects/language_codes.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

base::Result<TextsRequest> parse_one(const RequestFields& fields) {
  TextsRequest request;
  request.numbered_tags = true;
  request.texts.resize(1);
  RETURN_IF_ERROR(fields.require("text", &request.texts[0]));
  RETURN_IF_ERROR(read_languages(fields, "from", "to", request.pattern));
  RETURN_IF_ERROR(fields.read("html", &request.html));
  return request;
}

base::Result<TextsRequest> parse_list(const RequestFields& fields, const char* texts, const char* from,
                                      const char* to, const ServiceLimits& limits) {
  TextsRequest request;
  request.numbered_tags = true;
  if (!fields.has(texts)) return base::invalid("{} is missing", texts);
  RETURN_IF_ERROR(fields.read(texts, limits.max_texts, &request.texts));
  RETURN_IF_ERROR(read_languages(fields, from, to, request.pattern));
  RETURN_IF_ERROR(fields.read("html", &request.html));
  return request;
}

struct HcfyRequest {
  TextsRequest texts;
  std::string from;  // table code, given or detected
};

base::Result<HcfyRequest> parse_hcfy(const RequestFields& fields) {
  HcfyRequest request;
  TextJob& job = request.texts.pattern;
  request.texts.texts.resize(1);
  RETURN_IF_ERROR(fields.require("text", &request.texts.texts[0]));
  std::string source;
  RETURN_IF_ERROR(fields.read("source", &source));
  std::vector<std::string> destinations;
  RETURN_IF_ERROR(fields.read("destination", 16, &destinations));
  if (destinations.empty()) return base::invalid("destination is missing");
  if (!translate::means_auto(source) && source != "自动检测") {
    ASSIGN_OR_RETURN(job.from, translate::find_language(source));
    request.from = job.from->code;
  } else {
    const translate::Detection detection = detect(request.texts.texts[0]);
    job.from = detection.language;
    request.from = detection.code;
  }
  ASSIGN_OR_RETURN(job.to, translate::find_language(destinations[0]));
  if (job.from == job.to && destinations.size() > 1) {
    ASSIGN_OR_RETURN(job.to, translate::find_language(destinations[1]));
  }
  return request;
}

json::array lines_of(std::string_view text) {
  json::array lines;
  while (true) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    lines.emplace_back(json::string_view(line.data(), line.size()));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

// As the client called it; what was detected if it asked for that.
std::string given_or_detected(const RequestFields& fields, std::string_view name,
                              const std::string& detected) {
  std::string given;
  return fields.read(name, &given).ok() && !translate::means_auto(given) ? given : detected;
}

}  // namespace

DialectAnswer immersive_translate(const DialectCall& call) {
  const base::Result<TextsRequest> request =
      parse_list(call.fields, "text_list", "source_lang", "target_lang", call.service.limits);
  if (!request.ok()) co_return request.status();
  const base::Result<std::vector<TextResult>> results = co_await translate_all(call, *request);
  if (!results.ok()) co_return results.status();
  json::array translations;
  for (const TextResult& result : *results)
    translations.push_back({{"detected_source_lang", browser_code(result.from)}, {"text", result.text}});
  co_return json_answer({{"translations", std::move(translations)}});
}

DialectAnswer kiss_translate(const DialectCall& call) {
  const bool batch = call.fields.has("texts");
  const base::Result<TextsRequest> request =
      batch ? parse_list(call.fields, "texts", "from", "to", call.service.limits) : parse_one(call.fields);
  if (!request.ok()) co_return request.status();
  const base::Result<std::vector<TextResult>> results = co_await translate_all(call, *request);
  if (!results.ok()) co_return results.status();
  json::array translations;
  for (const TextResult& result : *results)
    translations.push_back({{"text", result.text}, {"src", browser_code(result.from)}});
  if (batch) co_return json_answer({{"translations", std::move(translations)}});
  co_return json_answer(translations.at(0));
}

DialectAnswer hcfy_translate(const DialectCall& call) {
  const base::Result<HcfyRequest> request = parse_hcfy(call.fields);
  if (!request.ok()) co_return request.status();
  const base::Result<TextResult> result = co_await translate_one(call, request->texts);
  if (!result.ok()) co_return result.status();
  co_return json_answer({{"text", request->texts.texts[0]},
                         {"from", hcfy_name(request->from)},
                         {"to", hcfy_name(request->texts.pattern.to->code)},
                         {"result", lines_of(result->text)}});
}

DialectAnswer mtran_translate(const DialectCall& call) {
  const base::Result<TextsRequest> request = parse_one(call.fields);
  if (!request.ok()) co_return request.status();
  const base::Result<TextResult> result = co_await translate_one(call, *request);
  if (!result.ok()) co_return result.status();
  co_return json_answer({{"result", result->text},
                         {"text", result->text},
                         {"from", given_or_detected(call.fields, "from", mtran_code(result->from))},
                         {"to", given_or_detected(call.fields, "to", "")},
                         {"src", browser_code(result->from)}});
}

DialectAnswer mtran_batch(const DialectCall& call) {
  const base::Result<TextsRequest> request =
      parse_list(call.fields, "texts", "from", "to", call.service.limits);
  if (!request.ok()) co_return request.status();
  const base::Result<std::vector<TextResult>> results = co_await translate_all(call, *request);
  if (!results.ok()) co_return results.status();
  json::array texts;
  for (const TextResult& result : *results) texts.emplace_back(result.text);
  co_return json_answer({{"results", std::move(texts)}});
}

DialectAnswer mtran_detect(const DialectCall& call) {
  std::string text;
  const base::Status status = call.fields.require("text", &text);
  if (!status.ok()) co_return status;
  const translate::Detection detection = detect(text);
  co_return json_answer({{"language", mtran_code(detection.code)}, {"confidence", detection.confidence}});
}

void add_plugin_routes(Router& router, Service& service) {
  const auto add = [&](const char* path, DialectHandler handler) {
    router.add("POST", path, dialect_route(service, &plugin_error, std::move(handler)));
  };
  add("/imme", &immersive_translate);
  add("/kiss", &kiss_translate);
  add("/hcfy", &hcfy_translate);
  add("/translate/batch", &mtran_batch);
}

}  // namespace pagoda::serve

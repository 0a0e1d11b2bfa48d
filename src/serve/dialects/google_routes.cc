#include "serve/dialects/google_routes.h"

#include <utility>

#include "serve/dialects/dialect_errors.h"
#include "serve/dialects/language_codes.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

DialectAnswer translate(const DialectCall& call) {
  TextsRequest request;
  const auto parse = [&]() -> base::Status {
    if (!call.fields.has("q")) return base::invalid("Required Text: q is missing");
    RETURN_IF_ERROR(call.fields.read("q", call.service.limits.max_texts, &request.texts));
    RETURN_IF_ERROR(read_languages(call.fields, "source", "target", request.pattern));
    std::string format = "html";  // as Google has it
    RETURN_IF_ERROR(call.fields.read("format", &format));
    if (format != "html" && format != "text")
      return base::invalid("format is \"{}\", it must be text or html", format);
    request.html = format == "html";
    return {};
  };
  const base::Status status = parse();
  if (!status.ok()) co_return status;
  const base::Result<std::vector<TextResult>> results = co_await translate_all(call, request);
  if (!results.ok()) co_return results.status();
  json::array translations;
  for (const TextResult& result : *results) {
    json::object translation{{"translatedText", result.text}};
    if (request.pattern.from == nullptr) translation["detectedSourceLanguage"] = google_code(result.from);
    translations.push_back(std::move(translation));
  }
  co_return json_answer({{"data", json::object{{"translations", std::move(translations)}}}});
}

DialectAnswer detect_languages(const DialectCall& call) {
  std::vector<std::string> texts;
  if (!call.fields.has("q")) co_return base::invalid("Required Text: q is missing");
  const base::Status status = call.fields.read("q", call.service.limits.max_texts, &texts);
  if (!status.ok()) co_return status;
  json::array detections;
  for (const std::string& text : texts) {
    const translate::Detection detection = detect(text);
    detections.push_back(json::array{json::object{{"language", google_code(detection.code)},
                                                  {"isReliable", detection.reliable},
                                                  {"confidence", detection.confidence}}});
  }
  co_return json_answer({{"data", json::object{{"detections", std::move(detections)}}}});
}

DialectAnswer languages(const DialectCall& call) {
  const bool named = call.fields.has("target");  // names are asked for in a language; they are in English
  json::array all;
  for (const translate::Language& language : translate::languages()) {
    json::object entry{{"language", google_code(language.code)}};
    if (named) entry["name"] = language.english_name;
    all.push_back(std::move(entry));
  }
  co_return json_answer({{"data", json::object{{"languages", std::move(all)}}}});
}

DialectAnswer single(const DialectCall& call) {
  TextsRequest request;
  request.texts.resize(1);
  std::string dj;
  base::Status status = call.fields.require("q", &request.texts[0]);
  if (status.ok()) status = read_languages(call.fields, "sl", "tl", request.pattern);
  if (status.ok()) status = call.fields.read("dj", &dj);
  if (!status.ok()) co_return status;
  const base::Result<TextResult> result = co_await translate_one(call, request);
  if (!result.ok()) co_return result.status();
  const std::string from = google_code(result->from);
  const std::string& text = request.texts[0];
  if (dj == "1") {
    const json::object sentence{{"trans", result->text}, {"orig", text}, {"backend", 1}};
    co_return json_answer(
        {{"sentences", json::array{sentence}}, {"src", from}, {"confidence", result->confidence}});
  }
  const json::array sentence{json::value(result->text), json::value(text), nullptr, nullptr, 1};
  co_return json_answer(json::array{json::array{sentence}, nullptr, json::value(from), nullptr, nullptr,
                                    nullptr, nullptr, json::array()});
}

}  // namespace

void add_google_routes(Router& router, Service& service) {
  const auto add = [&](const std::string& path, const DialectHandler& handler) {
    for (const char* method : {"GET", "POST"})
      router.add(method, path, dialect_route(service, &google_error, handler));
  };
  for (const std::string prefix : {"", "/google"}) {
    add(prefix + "/language/translate/v2", &translate);
    add(prefix + "/language/translate/v2/detect", &detect_languages);
    add(prefix + "/language/translate/v2/languages", &languages);
    add(prefix + "/translate_a/single", &single);
  }
}

}  // namespace pagoda::serve

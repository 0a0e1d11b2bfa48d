#include "serve/dialects/libretranslate_routes.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <utility>

#include "serve/dialects/dialect_errors.h"
#include "serve/dialects/html_text.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace json = boost::json;
namespace {

using Alternatives = std::vector<std::vector<std::string>>;

// LibreTranslate calls what it cannot detect English, with confidence 0, and its clients look the code up in
// /languages.
json::object detected(std::string_view code, double confidence) {
  if (code.empty()) return {{"confidence", 0}, {"language", "en"}};
  return {{"confidence", percent(confidence)}, {"language", json::string(code.data(), code.size())}};
}

// How answers are drawn that shall differ from the first one: the model's own recommendation, and bolder the
// second time.
translate::OfficialSampling bold_sampling(const Service& service, int round) {
  translate::OfficialSampling sampling =
      translate::official_sampling(service.engine.chat_template().family());
  sampling.temperature += 0.4 * round;
  sampling.top_p = std::min(1.0, sampling.top_p + 0.3 * round);
  return sampling;
}

// Up to `alternatives` other translations of each text. Texts of few words have few, so there may be less.
asio::awaitable<base::Result<Alternatives>> find_alternatives(const DialectCall& call,
                                                              const LibreTranslateRequest& request,
                                                              const std::vector<TextResult>& results) {
  constexpr int kRounds = 2;
  const auto wanted = static_cast<std::size_t>(request.alternatives);
  Alternatives found(results.size());
  std::uint64_t seed = call.service.translator.options().seed;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<TextJob> jobs;
    std::vector<std::size_t> owners;
    for (std::size_t i = 0; i < results.size(); ++i) {
      for (std::size_t missing = wanted - found[i].size(); missing > 0; --missing) {
        TextJob job = request.texts.pattern;
        job.text = request.texts.texts[i];
        if (request.texts.html) job.text = plain_text_of_html(job.text).value_or(job.text);
        job.sampling = bold_sampling(call.service, round);
        job.seed = ++seed;
        jobs.push_back(std::move(job));
        owners.push_back(i);
      }
    }
    if (jobs.empty()) break;
    base::Result<std::vector<TextResult>> others =
        co_await translate_texts(call.service, call.http, std::move(jobs));
    if (!others.ok()) co_return others.status();
    for (std::size_t k = 0; k < owners.size(); ++k) {
      std::vector<std::string>& list = found[owners[k]];
      std::string text = std::move((*others)[k].text);
      if (request.texts.html) text = html_of_plain_text(text);
      if (text != results[owners[k]].text && std::find(list.begin(), list.end(), text) == list.end())
        list.push_back(std::move(text));
    }
  }
  co_return found;
}

json::object answer_of(const LibreTranslateRequest& request, const std::vector<TextResult>& results,
                       const Alternatives& alternatives) {
  json::array texts, languages, others;
  for (const TextResult& result : results) {
    texts.emplace_back(result.text);
    languages.push_back(detected(result.from, result.confidence));
  }
  for (const std::vector<std::string>& list : alternatives)
    others.push_back(json::array(list.begin(), list.end()));
  const auto one_or_all = [&](json::array& all) { return request.batch ? json::value(all) : all.at(0); };
  json::object answer{{"translatedText", one_or_all(texts)}};
  if (request.texts.pattern.from == nullptr) answer["detectedLanguage"] = one_or_all(languages);
  if (request.alternatives > 0) answer["alternatives"] = one_or_all(others);
  return answer;
}

HttpResponse languages() {
  json::array targets;
  for (const translate::Language& language : translate::languages()) targets.emplace_back(language.code);
  json::array all;
  for (const translate::Language& language : translate::languages())
    all.push_back({{"code", language.code}, {"name", language.english_name}, {"targets", targets}});
  return json_answer(all);
}

HttpResponse settings(const Service& service) {
  const translate::Language& english = translate::language("en");
  return json_answer(
      {// Characters; every text of so many fits whatever its script.
       {"charLimit", service.limits.max_text_bytes / 4},
       {"frontendTimeout", 500},
       {"apiKeys", !service.keys.open()},
       {"keyRequired", !service.keys.open()},
       {"suggestions", false},
       {"filesTranslation", false},
       {"supportedFilesFormat", json::array()},
       {"language",
        json::object{{"source", json::object{{"code", "auto"}, {"name", "Auto Detect"}}},
                     {"target", json::object{{"code", english.code}, {"name", english.english_name}}}}}});
}

// Says the same to everybody, at once.
template <typename Answer>
Route open_route(Answer answer) {
  Route route;
  route.handler = [answer](const HttpRequest&) -> asio::awaitable<HttpResponse> { co_return answer(); };
  route.access = Access::kOpen;
  route.error = &libretranslate_error;
  return route;
}

}  // namespace

base::Result<LibreTranslateRequest> parse_libretranslate(const RequestFields& fields,
                                                         const ServiceLimits& limits) {
  LibreTranslateRequest request;
  for (const char* name : {"q", "source", "target"})
    if (!fields.has(name)) return base::invalid("Invalid request: missing {} parameter", name);
  RETURN_IF_ERROR(fields.read("q", limits.max_texts, &request.texts.texts));
  request.batch = fields.is_list("q");
  RETURN_IF_ERROR(read_languages(fields, "source", "target", request.texts.pattern));
  std::string format = "text";
  RETURN_IF_ERROR(fields.read("format", &format));
  if (format != "text" && format != "html" && !format.empty())
    return base::invalid("{} format is not supported", format);
  request.texts.html = format == "html";
  RETURN_IF_ERROR(fields.read("alternatives", 0, kMaxAlternatives, &request.alternatives));
  const auto answers = static_cast<std::size_t>(request.alternatives) + 1;
  if (request.texts.texts.size() * answers > limits.max_texts)
    return base::invalid("{} texts with {} alternatives each are more than the limit of {} translations",
                         request.texts.texts.size(), request.alternatives, limits.max_texts);
  return request;
}

DialectAnswer libretranslate_translate(const DialectCall& call) {
  const base::Result<LibreTranslateRequest> request = parse_libretranslate(call.fields, call.service.limits);
  if (!request.ok()) co_return request.status();
  const base::Result<std::vector<TextResult>> results = co_await translate_all(call, request->texts);
  if (!results.ok()) co_return results.status();
  Alternatives alternatives;
  if (request->alternatives > 0) {
    base::Result<Alternatives> found = co_await find_alternatives(call, *request, *results);
    if (!found.ok()) co_return found.status();
    alternatives = std::move(found).value();
  }
  co_return json_answer(answer_of(*request, *results, alternatives));
}

DialectAnswer libretranslate_detect(const DialectCall& call) {
  std::string text;
  if (!call.fields.has("q")) co_return base::invalid("Invalid request: missing q parameter");
  const base::Status status = call.fields.read("q", &text);
  if (!status.ok()) co_return status;
  const translate::Detection detection = detect(text);
  co_return json_answer(json::array{detected(detection.code, detection.confidence)});
}

void add_libretranslate_routes(Router& router, Service& service) {
  router.add("GET", "/languages", open_route([] { return languages(); }));
  router.add("GET", "/frontend/settings", open_route([&service] { return settings(service); }));
}

}  // namespace pagoda::serve

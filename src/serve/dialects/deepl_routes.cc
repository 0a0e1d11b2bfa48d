#include "serve/dialects/deepl_routes.h"

#include <algorithm>
#include <set>
#include <utility>

#include "serve/dialects/dialect_errors.h"
#include "serve/dialects/language_codes.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

// There is none; clients want a number to show how much is left.
constexpr std::int64_t kUnlimitedCharacters = 1'000'000'000'000;
constexpr std::size_t kMaxGlossaryIds = 5;

// What DeepL would do with these cannot be done here, and leaving it out would give another translation than
// the client has asked for.
constexpr const char* kRefused[] = {"style_id", "translation_memory_id", "custom_instructions"};

base::Status read_glossary_ids(const RequestFields& fields, DeepLRequest& request) {
  if (fields.has("glossary_id") && fields.has("glossary_ids"))
    return base::invalid("glossary_id and glossary_ids cannot be used together");
  const char* name = fields.has("glossary_ids") ? "glossary_ids" : "glossary_id";
  RETURN_IF_ERROR(fields.read(name, kMaxGlossaryIds, &request.glossary_ids));
  if (!request.glossary_ids.empty() && request.texts.pattern.from == nullptr)
    return base::invalid("{} needs source_lang", name);
  return {};
}

base::Status read_tag_handling(const RequestFields& fields, DeepLRequest& request) {
  std::string tags;
  RETURN_IF_ERROR(fields.read("tag_handling", &tags));
  if (!tags.empty() && tags != "xml" && tags != "html")
    return base::invalid("Value for 'tag_handling' not supported: {}", tags);
  request.texts.html = !tags.empty();
  return {};
}

// A glossary for Chinese serves both scripts, as DeepL's do.
bool serves(const std::string& code, const translate::Language& language) {
  return code == (language.code == "zh-Hant" ? "zh" : language.code);
}

base::Result<std::shared_ptr<const translate::Glossary>> load_glossary(GlossaryStore& store,
                                                                       const std::string& owner,
                                                                       const DeepLRequest& request) {
  const TextJob& pattern = request.texts.pattern;
  for (const std::string& id : request.glossary_ids) {
    ASSIGN_OR_RETURN(const GlossaryRecord record, store.find(owner, id));
    if (!serves(record.from, *pattern.from) || !serves(record.to, *pattern.to))
      return base::invalid("glossary {} is from {} to {}, not for this source_lang and target_lang", id,
                           record.from, record.to);
  }
  if (request.glossary_ids.size() == 1) return store.glossary(owner, request.glossary_ids[0]);
  std::vector<translate::Term> all;
  std::set<std::string> sources;
  for (const std::string& id : request.glossary_ids) {
    ASSIGN_OR_RETURN(std::vector<translate::Term> terms, store.terms(owner, id));
    for (translate::Term& term : terms)
      if (sources.insert(term.source).second) all.push_back(std::move(term));
  }
  ASSIGN_OR_RETURN(translate::Glossary glossary,
                   translate::Glossary::from_terms(std::move(all), "glossary_ids"));
  return std::make_shared<const translate::Glossary>(std::move(glossary));
}

DialectAnswer translate(ClientData& data, const DialectCall& call) {
  base::Result<DeepLRequest> parsed = parse_deepl(call.fields, call.service.limits);
  if (!parsed.ok()) co_return parsed.status();
  DeepLRequest& request = *parsed;
  std::size_t bytes = 0;
  for (const std::string& text : request.texts.texts) bytes += text.size();
  if (bytes > call.service.limits.max_text_bytes)
    co_return deepl_error(413, fmt::format("the texts have {} bytes, the limit is {}", bytes,
                                           call.service.limits.max_text_bytes));
  const std::string owner = call.service.keys.fingerprint(call.http.client);
  if (!request.glossary_ids.empty()) {
    auto glossary = load_glossary(data.glossaries, owner, request);
    if (!glossary.ok()) co_return glossary.status();
    request.texts.pattern.glossary = std::move(glossary).value();
  }
  const base::Result<std::vector<TextResult>> results = co_await translate_all(call, request.texts);
  if (!results.ok()) {
    // DeepL's clients repeat a request that got a 5xx.
    if (results.status().code() == base::Code::kUnimplemented)
      co_return deepl_error(400, "tag_handling is not supported yet: " + results.status().message());
    co_return results.status();
  }
  json::array translations;
  std::int64_t characters = 0;
  for (std::size_t i = 0; i < results->size(); ++i) {
    const TextResult& result = (*results)[i];
    const std::int64_t billed = count_characters(request.texts.texts[i]);
    characters += billed;
    json::object translation{{"detected_source_language", deepl_code(result.from)}, {"text", result.text}};
    if (request.show_billed_characters) translation["billed_characters"] = billed;
    if (!request.model_type.empty()) translation["model_type_used"] = request.model_type;
    translations.push_back(std::move(translation));
  }
  const base::Status counted = data.characters.add(owner, characters);
  if (!counted.ok()) co_return counted;
  co_return json_answer({{"translations", std::move(translations)}});
}

DialectAnswer usage(ClientData& data, const DialectCall& call) {
  const base::Result<std::int64_t> total =
      data.characters.total(call.service.keys.fingerprint(call.http.client));
  if (!total.ok()) co_return total.status();
  co_return json_answer({{"character_count", *total}, {"character_limit", kUnlimitedCharacters}});
}

// Variants are targets alone; the model translates into its own of them, so both names mean the same.
struct Variant {
  std::string_view code, name;
};
std::vector<Variant> target_variants(std::string_view code) {
  if (code == "en") return {{"EN-GB", "English (British)"}, {"EN-US", "English (American)"}};
  if (code == "pt") return {{"PT-BR", "Portuguese (Brazilian)"}, {"PT-PT", "Portuguese (European)"}};
  if (code == "zh") return {{"ZH", "Chinese (simplified)"}, {"ZH-HANS", "Chinese (simplified)"}};
  if (code == "zh-Hant") return {{"ZH-HANT", "Chinese (traditional)"}};
  return {};
}

DialectAnswer languages(const DialectCall& call) {
  std::string type = "source";
  const base::Status status = call.fields.read("type", &type);
  if (!status.ok()) co_return status;
  if (type != "source" && type != "target")
    co_return base::invalid("type is \"{}\", it must be source or target", type);
  json::array all;
  for (const translate::Language& language : translate::languages()) {
    const std::vector<Variant> variants =
        type == "target" ? target_variants(language.code) : std::vector<Variant>();
    for (const Variant& variant : variants)
      all.push_back({{"language", variant.code}, {"name", variant.name}, {"supports_formality", false}});
    if (!variants.empty() || (type == "source" && language.code == "zh-Hant")) continue;
    json::object entry{{"language", deepl_code(language.code)}, {"name", language.english_name}};
    if (type == "target") entry["supports_formality"] = false;
    all.push_back(std::move(entry));
  }
  co_return json_answer(all);
}

}  // namespace

base::Result<DeepLRequest> parse_deepl(const RequestFields& fields, const ServiceLimits& limits) {
  DeepLRequest request;
  RETURN_IF_ERROR(fields.read("text", limits.max_texts, &request.texts.texts));
  if (request.texts.texts.empty()) return base::invalid("Parameter 'text' not specified.");
  if (!fields.has("target_lang")) return base::invalid("Parameter 'target_lang' not specified.");
  RETURN_IF_ERROR(read_languages(fields, "source_lang", "target_lang", request.texts.pattern));
  RETURN_IF_ERROR(fields.read("context", &request.texts.pattern.context));
  for (const char* name : kRefused)
    if (fields.has(name)) return base::invalid("{} is not supported", name);
  RETURN_IF_ERROR(read_tag_handling(fields, request));
  RETURN_IF_ERROR(read_glossary_ids(fields, request));
  RETURN_IF_ERROR(fields.read("show_billed_characters", &request.show_billed_characters));
  RETURN_IF_ERROR(fields.read("model_type", &request.model_type));
  constexpr std::string_view kPrefer = "prefer_";
  if (request.model_type.starts_with(kPrefer)) request.model_type.erase(0, kPrefer.size());
  return request;
}

std::int64_t count_characters(std::string_view utf8) {
  return std::count_if(utf8.begin(), utf8.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

void add_deepl_routes(Router& router, Service& service, ClientData& data) {
  const auto add = [&](const char* method, const char* path, DialectHandler handler) {
    router.add(method, path, dialect_route(service, &deepl_error, std::move(handler)));
  };
  const DialectHandler translating = [&data](const DialectCall& call) { return translate(data, call); };
  add("POST", "/v2/translate", translating);
  add("POST", "/deepl", translating);  // MTranServer's name for it
  for (const char* method : {"GET", "POST"}) {
    add(method, "/v2/languages", &languages);
    add(method, "/v2/usage", [&data](const DialectCall& call) { return usage(data, call); });
  }
}

}  // namespace pagoda::serve

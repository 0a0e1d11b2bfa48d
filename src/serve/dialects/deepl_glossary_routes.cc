#include "serve/dialects/deepl_glossary_routes.h"

#include <fmt/chrono.h>

#include <utility>

#include "serve/dialects/deepl_routes.h"
#include "serve/dialects/dialect_errors.h"
#include "serve/dialects/glossary_entries.h"
#include "serve/dialects/language_codes.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

constexpr std::int64_t kMaxNameCharacters = 1024;

// DeepL's glossaries know a language without its variants: "zh" for both scripts.
std::string base_code(const translate::Language& language) {
  return std::string(language.code == "zh-Hant" ? "zh" : language.code);
}

// "2026-03-01T12:00:00.123Z"
std::string timestamp(std::int64_t unix_ms) {
  return fmt::format("{:%FT%T}.{:03d}Z", fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000)),
                     unix_ms % 1000);
}

json::object object_of(const GlossaryRecord& record) {
  return {{"glossary_id", record.id},
          {"name", record.name},
          {"ready", true},
          {"source_lang", record.from},
          {"target_lang", record.to},
          {"creation_time", timestamp(record.created_ms)},
          {"entry_count", record.entries}};
}

std::string owner_of(const DialectCall& call) { return call.service.keys.fingerprint(call.http.client); }
std::string id_of(const DialectCall& call) { return std::string(call.http.path_part("id")); }

base::Result<GlossaryRecord> create(GlossaryStore& store, const DialectCall& call) {
  GlossaryRecord draft;
  for (const char* name : {"name", "source_lang", "target_lang", "entries", "entries_format"})
    if (!call.fields.has(name)) return base::invalid("Parameter '{}' not specified.", name);
  RETURN_IF_ERROR(call.fields.read("name", &draft.name));
  if (draft.name.empty()) return base::invalid("name is empty");
  if (count_characters(draft.name) > kMaxNameCharacters)
    return base::invalid("name is longer than {} characters", kMaxNameCharacters);
  TextJob pair;
  RETURN_IF_ERROR(read_languages(call.fields, "source_lang", "target_lang", pair));
  if (pair.from == nullptr) return base::invalid("source_lang must be a language");
  draft.from = base_code(*pair.from);
  draft.to = base_code(*pair.to);
  if (draft.from == draft.to) return base::invalid("source_lang and target_lang are the same language");
  std::string entries, format;
  RETURN_IF_ERROR(call.fields.read("entries", &entries));
  RETURN_IF_ERROR(call.fields.read("entries_format", &format));
  if (format != "tsv" && format != "csv")
    return base::invalid("entries_format is \"{}\", it must be tsv or csv", format);
  ASSIGN_OR_RETURN(std::vector<translate::Term> terms,
                   format == "tsv" ? parse_glossary_tsv(entries) : parse_glossary_csv(entries));
  return store.create(owner_of(call), std::move(draft), std::move(terms));
}

DialectAnswer answer_create(GlossaryStore& store, const DialectCall& call) {
  const base::Result<GlossaryRecord> record = create(store, call);
  if (record.ok()) co_return json_answer(object_of(*record), 201);
  if (record.status().code() == base::Code::kResourceExhausted)
    co_return deepl_error(413, record.status().message());
  co_return record.status();
}

DialectAnswer answer_list(GlossaryStore& store, const DialectCall& call) {
  const auto records = store.list(owner_of(call));
  if (!records.ok()) co_return records.status();
  json::array all;
  for (const GlossaryRecord& record : *records) all.push_back(object_of(record));
  co_return json_answer({{"glossaries", std::move(all)}});
}

DialectAnswer answer_find(GlossaryStore& store, const DialectCall& call) {
  const base::Result<GlossaryRecord> record = store.find(owner_of(call), id_of(call));
  if (!record.ok()) co_return record.status();
  co_return json_answer(object_of(*record));
}

DialectAnswer answer_entries(GlossaryStore& store, const DialectCall& call) {
  const auto terms = store.terms(owner_of(call), id_of(call));
  if (!terms.ok()) co_return terms.status();
  HttpResponse response;
  response.content_type = "text/tab-separated-values; charset=utf-8";
  response.body = glossary_tsv(*terms);
  co_return response;
}

DialectAnswer answer_remove(GlossaryStore& store, const DialectCall& call) {
  const base::Status status = store.remove(owner_of(call), id_of(call));
  if (!status.ok()) co_return status;
  HttpResponse response;
  response.status = 204;
  response.content_type.clear();
  co_return response;
}

DialectAnswer answer_pairs(const DialectCall&) {
  json::array pairs;
  for (const translate::Language& from : translate::languages())
    for (const translate::Language& to : translate::languages()) {
      if (from.code == "zh-Hant" || to.code == "zh-Hant" || &from == &to) continue;
      pairs.push_back({{"source_lang", from.code}, {"target_lang", to.code}});
    }
  co_return json_answer({{"supported_languages", std::move(pairs)}});
}

}  // namespace

void add_deepl_glossary_routes(Router& router, Service& service, ClientData& data) {
  using StoreHandler = DialectAnswer (*)(GlossaryStore&, const DialectCall&);
  const auto add = [&](const char* method, const char* path, StoreHandler handler) {
    router.add(method, path, dialect_route(service, &deepl_error, [&data, handler](const DialectCall& call) {
                 return handler(data.glossaries, call);
               }));
  };
  add("POST", "/v2/glossaries", &answer_create);
  add("GET", "/v2/glossaries", &answer_list);
  add("GET", "/v2/glossaries/{id}", &answer_find);
  add("GET", "/v2/glossaries/{id}/entries", &answer_entries);
  add("DELETE", "/v2/glossaries/{id}", &answer_remove);
  router.add("GET", "/v2/glossary-language-pairs", dialect_route(service, &deepl_error, &answer_pairs));
}

}  // namespace pagoda::serve

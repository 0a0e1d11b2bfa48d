#include "serve/text_request.h"

namespace pagoda::serve {
namespace json = boost::json;

base::Status set_languages(std::string_view from, std::string_view to, TextJob& job) {
  job.from = nullptr;
  if (!translate::means_auto(from)) {
    ASSIGN_OR_RETURN(job.from, translate::find_language(from));
  }
  if (to.empty()) return base::invalid("the target language is missing");
  ASSIGN_OR_RETURN(job.to, translate::find_language(to));
  return {};
}

base::Result<std::shared_ptr<const translate::Glossary>> parse_terms(const json::value& terms) {
  std::vector<translate::Term> list;
  const auto add = [&](const json::value* source, const json::value* target) {
    if (source == nullptr || target == nullptr || !source->is_string() || !target->is_string()) return false;
    list.push_back({std::string(source->as_string()), std::string(target->as_string())});
    return true;
  };
  if (const json::object* object = terms.if_object()) {
    for (const auto& [source, target] : *object) {
      const json::value key(source);
      if (!add(&key, &target)) return base::invalid("glossary has a target that is not a string");
    }
  } else if (const json::array* array = terms.if_array()) {
    for (const json::value& term : *array) {
      const json::object* pair = term.if_object();
      if (pair == nullptr || !add(pair->if_contains("source"), pair->if_contains("target")))
        return base::invalid(R"(glossary[{}] must be {{"source": "...", "target": "..."}})", list.size());
    }
  } else {
    return base::invalid("glossary must be an array or an object");
  }
  if (list.empty()) return std::shared_ptr<const translate::Glossary>();
  ASSIGN_OR_RETURN(translate::Glossary glossary,
                   translate::Glossary::from_terms(std::move(list), "glossary"));
  return std::shared_ptr<const translate::Glossary>(
      std::make_shared<translate::Glossary>(std::move(glossary)));
}

}  // namespace pagoda::serve

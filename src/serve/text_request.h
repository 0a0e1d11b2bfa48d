#pragma once
// The parts of a translation request that dialects share: languages by whatever name, terms as JSON. Pure.

#include <boost/json/object.hpp>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "serve/translation_jobs.h"

namespace pagoda::serve {

// Sets from (null for "auto" and the like) and to. kInvalidArgument naming the field and the language.
base::Status set_languages(std::string_view from, std::string_view to, TextJob& job);
// [{"source": "...", "target": "..."}] or {"source": "target"}; null: no glossary.
base::Result<std::shared_ptr<const translate::Glossary>> parse_terms(const boost::json::value& terms);

}  // namespace pagoda::serve

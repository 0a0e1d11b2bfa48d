#pragma once
// Glossaries as DeepL's clients write them: TSV or CSV, one pair a line, no comments. Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "translate/task.h"

namespace pagoda::serve {

inline constexpr std::size_t kMaxGlossaryEntries = 20'000;

// source<TAB>target. kInvalidArgument names the line: no tab or more than one, an empty side, a control
// character, or a source that was there before; kResourceExhausted for too many.
base::Result<std::vector<translate::Term>> parse_glossary_tsv(std::string_view tsv);
// source,target[,source language,target language], fields quoted by RFC 4180; the languages are not read.
base::Result<std::vector<translate::Term>> parse_glossary_csv(std::string_view csv);
std::string glossary_tsv(const std::vector<translate::Term>& terms);

}  // namespace pagoda::serve

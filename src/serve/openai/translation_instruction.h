#pragma once
// What people write around a text when they ask a general model to translate it: "Translate to French: ...",
// "将以下文本翻译为法语：...". Found here: the target language, and where the text begins. Pure; any thread.

#include <cstddef>
#include <optional>
#include <string_view>

#include "translate/languages.h"

namespace pagoda::serve {

struct TargetMention {
  const translate::Language* language = nullptr;
  std::size_t end = 0;  // behind the language's name and what quotes it
};

// The first language that follows "translate ... to", "translate ... into", "target language", 翻译为 and the
// like.
std::optional<TargetMention> find_target_language(std::string_view text);

// The part of a message that is the text, if the instruction can be told from it: it begins behind a colon in
// the sentence that names the language, or else behind that line, or behind the list of rules below it.
// Labels such as "Source Text:" before and "Translated Text:" behind are no part of it. `end` is a mention's.
std::optional<std::string_view> text_behind_instruction(std::string_view message, std::size_t end);

}  // namespace pagoda::serve

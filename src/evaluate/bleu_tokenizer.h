#pragma once
// How BLEU cuts a sentence into words: sacrebleu's tokenizers "13a" (which is mteval-v13a.pl, WMT's), "zh"
// and "char", rule for rule, so that scores can be set beside published ones. Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "translate/languages.h"

namespace pagoda::evaluate {

enum class BleuTokenizer { k13a, kZh, kChar };
const char* bleu_tokenizer_name(BleuTokenizer tokenizer);  // "13a", "zh", "char"

// zh for Chinese, char for Japanese and Korean, 13a for all others.
BleuTokenizer bleu_tokenizer_for(const translate::Language& target);

std::vector<std::u32string> tokenize(BleuTokenizer tokenizer, std::string_view sentence);

// White space as Python's str.split() knows it: not U+200B nor U+FEFF.
bool is_python_space(char32_t c);

}  // namespace pagoda::evaluate

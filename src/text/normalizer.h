#pragma once
// The Unicode normal forms a tokenizer.json can ask for, by ICU.

#include <string>
#include <string_view>

namespace pagoda::text {

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
const char* normal_form_name(NormalForm form);

// `text` must be well-formed UTF-8.
std::string normalize(NormalForm form, std::string_view text);

}  // namespace pagoda::text

#pragma once
// What the dialects call the languages in their answers. The argument is a code as TextResult::from has it:
// of the model table, of a language outside it ("sv"), or "" for an unknown one. Pure; any thread.

#include <string>
#include <string_view>

#include "translate/languages.h"

namespace pagoda::serve {

// "EN"; "ZH" for both Chinese scripts, as DeepL names a source. "" for unknown.
std::string deepl_code(std::string_view code);
// "zh-CN" and "zh-TW" for the two Chinese scripts: Immersive Translate, KISS.
std::string browser_code(std::string_view code);
// As browser_code, "iw" for Hebrew, "und" for unknown.
std::string google_code(std::string_view code);
// "zh-Hans" for Chinese: MTranServer.
std::string mtran_code(std::string_view code);
// "中文(简体)", "英语".
std::string hcfy_name(std::string_view code);

// The row of the table, or null.
const translate::Language* table_language(std::string_view code);

}  // namespace pagoda::serve

#include "serve/dialects/language_codes.h"

#include <algorithm>

namespace pagoda::serve {

const translate::Language* table_language(std::string_view code) {
  const auto all = translate::languages();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const translate::Language& l) { return l.code == code; });
  return found == all.end() ? nullptr : &*found;
}

std::string deepl_code(std::string_view code) {
  if (code == "zh-Hant") return "ZH";
  std::string upper(code);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return upper;
}

std::string browser_code(std::string_view code) {
  if (code == "zh") return "zh-CN";
  return std::string(code == "zh-Hant" ? "zh-TW" : code);
}

std::string google_code(std::string_view code) {
  if (code.empty()) return "und";
  return code == "he" ? "iw" : browser_code(code);
}

std::string mtran_code(std::string_view code) { return std::string(code == "zh" ? "zh-Hans" : code); }

std::string hcfy_name(std::string_view code) {
  if (code == "zh") return "中文(简体)";
  if (code == "zh-Hant") return "中文(繁体)";
  const translate::Language* language = table_language(code);
  return std::string(language == nullptr ? code : language->chinese_name);
}

}  // namespace pagoda::serve

#pragma once
// The languages of the HY-MT model table (the same 38 rows for HY-MT1.5 and Hy-MT2), with the names that the
// official prompts use, and the lookup of whatever a client calls them. A Language lives as long as the
// program; its address is its identity. Pure functions; any thread.

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "translate/unicode.h"

namespace pagoda::translate {

struct Language {
  std::string_view code;          // of the model table: BCP 47
  std::string_view iso639_3;      // "fra"; zh and zh-Hant share "zho"
  std::string_view english_name;  // in English prompts
  std::string_view chinese_name;  // in Chinese prompts
  std::string_view native_name;   // for people
  Script main_script;
  ScriptSet scripts;  // in which it is written, the main one included
  bool right_to_left;
  bool is_chinese;           // zh, zh-Hant, yue: the pair takes the Chinese prompt
  std::string_view aliases;  // further names and codes, folded, separated by '|'
};

// In the order of the model table.
std::span<const Language> languages();

// Finds a language by code ("fr", "FR"), BCP 47 tag ("pt-BR", "zh_TW", "zh-Hant-HK", "zho_Hans"), ISO 639-2/3
// code or name (English, Chinese or its own). kInvalidArgument, naming the text and the nearest known name,
// if there is none.
base::Result<const Language*> find_language(std::string_view text);
// The same for those who try many texts: null if there is none.
const Language* known_language(std::string_view text);

// Clients ask for detection with "auto", "detect", "auto-detect" or nothing.
bool means_auto(std::string_view text);

// By the code of the table exactly; a bug of ours (CHECK) if there is none.
const Language& language(std::string_view code);

// How a message tells the user where all languages are listed.
inline constexpr std::string_view kHowToListLanguages = "\"pagoda translate --list-languages\" lists all";

}  // namespace pagoda::translate

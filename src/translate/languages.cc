#include "translate/languages.h"

#include <unicode/uloc.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

namespace pagoda::translate {
namespace {

constexpr ScriptSet kLatinOnly = script_set(Script::kLatin);
constexpr ScriptSet kHanOnly = script_set(Script::kHan);
constexpr ScriptSet kArabicOnly = script_set(Script::kArabic);
constexpr ScriptSet kCyrillicOnly = script_set(Script::kCyrillic);

constexpr Language latin(std::string_view code, std::string_view iso, std::string_view english,
                         std::string_view chinese, std::string_view native, std::string_view aliases) {
  return {code, iso, english, chinese, native, Script::kLatin, kLatinOnly, false, false, aliases};
}
constexpr Language han(std::string_view code, std::string_view iso, std::string_view english,
                       std::string_view chinese, std::string_view native, std::string_view aliases) {
  return {code, iso, english, chinese, native, Script::kHan, kHanOnly, false, true, aliases};
}
constexpr Language own(std::string_view code, std::string_view iso, std::string_view english,
                       std::string_view chinese, std::string_view native, Script script,
                       std::string_view aliases) {
  return {code, iso, english, chinese, native, script, script_set(script), false, false, aliases};
}
constexpr Language arabic(std::string_view code, std::string_view iso, std::string_view english,
                          std::string_view chinese, std::string_view native, std::string_view aliases) {
  return {code, iso, english, chinese, native, Script::kArabic, kArabicOnly, true, false, aliases};
}

// Aliases: ISO 639-2/B where it differs, codes that ISO has withdrawn (iw, in), codes of other translation
// services (zt, pb), country codes that are often taken for languages and are no ISO code of another one (cn,
// jp, cz, ua, vn), and further names. "Chinese" in any spelling without more is Simplified, as in the table.
constexpr std::array<Language, 38> kLanguages = {{
    han("zh", "zho", "Chinese", "中文", "简体中文",
        "chi|cmn|cn|zh-chs|chinese (simplified)|simplified chinese|mandarin|mandarin "
        "chinese|汉语|漢語|普通话|"
        "简体|中文(简体)|中文(簡體)|中文简体|簡體中文|中国語|简中"),
    latin("en", "eng", "English", "英语", "English", "英文|英語"),
    latin("fr", "fra", "French", "法语", "Français", "fre|法文|法語"),
    latin("pt", "por", "Portuguese", "葡萄牙语", "Português", "pb|葡语|葡文|葡萄牙語|brazilian portuguese"),
    latin("es", "spa", "Spanish", "西班牙语", "Español", "西语|西班牙文|西班牙語|castilian|castellano"),
    {"ja", "jpn", "Japanese", "日语", "日本語", Script::kKana, script_set(Script::kKana, Script::kHan), false,
     false, "jp|日文|日語"},
    latin("tr", "tur", "Turkish", "土耳其语", "Türkçe", "土耳其文|土耳其語"),
    own("ru", "rus", "Russian", "俄语", "Русский", Script::kCyrillic, "俄文|俄語"),
    arabic("ar", "ara", "Arabic", "阿拉伯语", "العربية", "arb|阿拉伯文|阿拉伯語|阿语"),
    own("ko", "kor", "Korean", "韩语", "한국어", Script::kHangul, "韩文|韓語|韓文|朝鲜语|韩国语"),
    own("th", "tha", "Thai", "泰语", "ไทย", Script::kThai, "泰文|泰語|ภาษาไทย"),
    latin("it", "ita", "Italian", "意大利语", "Italiano", "意语|意大利文|意大利語"),
    latin("de", "deu", "German", "德语", "Deutsch", "ger|德文|德語"),
    latin("vi", "vie", "Vietnamese", "越南语", "Tiếng Việt", "vn|越南文|越南語|越语"),
    latin("ms", "msa", "Malay", "马来语", "Bahasa Melayu", "may|zsm|马来文|馬來語|melayu|bahasa malaysia"),
    latin("id", "ind", "Indonesian", "印尼语", "Bahasa Indonesia", "in|印度尼西亚语|印尼文|印尼語"),
    latin("tl", "tgl", "Filipino", "菲律宾语", "Filipino", "fil|tagalog|他加禄语|菲律賓語"),
    own("hi", "hin", "Hindi", "印地语", "हिन्दी", Script::kDevanagari, "印地文|印地語|हिंदी"),
    han("zh-Hant", "zho", "Traditional Chinese", "繁体中文", "繁體中文",
        "zt|zh-cht|chinese (traditional)|chinese traditional|繁体|繁體|中文(繁体)|中文(繁體)|中文繁体|繁中"),
    latin("pl", "pol", "Polish", "波兰语", "Polski", "波兰文|波蘭語"),
    latin("cs", "ces", "Czech", "捷克语", "Čeština", "cze|cz|捷克文|捷克語"),
    latin("nl", "nld", "Dutch", "荷兰语", "Nederlands", "dut|荷兰文|荷蘭語|flemish"),
    own("km", "khm", "Khmer", "高棉语", "ខ្មែរ", Script::kKhmer, "柬埔寨语|高棉文|高棉語|cambodian|ភាសាខ្មែរ"),
    own("my", "mya", "Burmese", "缅甸语", "မြန်မာ", Script::kMyanmar,
        "bur|缅语|缅甸文|緬甸語|myanmar|မြန်မာဘာသာ"),
    arabic("fa", "fas", "Persian", "波斯语", "فارسی", "per|pes|波斯文|波斯語|farsi"),
    own("gu", "guj", "Gujarati", "古吉拉特语", "ગુજરાતી", Script::kGujarati, "古吉拉特文|古吉拉特語"),
    arabic("ur", "urd", "Urdu", "乌尔都语", "اردو", "乌尔都文|烏爾都語"),
    own("te", "tel", "Telugu", "泰卢固语", "తెలుగు", Script::kTelugu, "泰卢固文|泰盧固語"),
    own("mr", "mar", "Marathi", "马拉地语", "मराठी", Script::kDevanagari, "马拉地文|馬拉地語|马拉提语"),
    {"he", "heb", "Hebrew", "希伯来语", "עברית", Script::kHebrew, script_set(Script::kHebrew), true, false,
     "iw|希伯来文|希伯來語"},
    own("bn", "ben", "Bengali", "孟加拉语", "বাংলা", Script::kBengali, "孟加拉文|孟加拉語|bangla"),
    own("ta", "tam", "Tamil", "泰米尔语", "தமிழ்", Script::kTamil, "泰米尔文|泰米爾語"),
    own("uk", "ukr", "Ukrainian", "乌克兰语", "Українська", Script::kCyrillic, "ua|乌克兰文|烏克蘭語"),
    own("bo", "bod", "Tibetan", "藏语", "བོད་སྐད", Script::kTibetan, "tib|藏文|藏語|བོད་ཡིག"),
    // Both are written in two scripts; which of them the models write is not documented, so both count as
    // right.
    {"kk", "kaz", "Kazakh", "哈萨克语", "Қазақша", Script::kCyrillic,
     script_set(Script::kCyrillic, Script::kArabic), false, false, "哈萨克文|哈薩克語|қазақ тілі"},
    {"mn", "mon", "Mongolian", "蒙古语", "Монгол", Script::kCyrillic,
     script_set(Script::kCyrillic, Script::kMongolian), false, false,
     "khk|mvf|蒙古文|蒙古語|蒙语|монгол хэл"},
    arabic("ug", "uig", "Uyghur", "维吾尔语", "ئۇيغۇرچە", "维语|维吾尔文|維吾爾語|uighur"),
    han("yue", "yue", "Cantonese", "粤语", "粵語", "广东话|廣東話|粤文|廣州話|广州话|白话"),
}};

using Index = std::unordered_map<std::string, const Language*>;

// All spellings, folded. The first entry wins ("zho" is zh, not zh-Hant).
const Index& spellings() {
  static const Index index = [] {
    Index built;
    for (const Language& entry : kLanguages) {
      for (const std::string_view name :
           {entry.code, entry.iso639_3, entry.english_name, entry.chinese_name, entry.native_name})
        built.emplace(fold_name(name), &entry);
      for (std::string_view rest = entry.aliases; !rest.empty();) {
        const std::size_t bar = rest.find('|');
        built.emplace(fold_name(rest.substr(0, bar)), &entry);
        rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
      }
    }
    return built;
  }();
  return index;
}

std::vector<std::string_view> split_subtags(std::string_view tag) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t dash = tag.find('-', begin);
    parts.push_back(tag.substr(begin, dash - begin));
    if (dash == std::string_view::npos) return parts;
    begin = dash + 1;
  }
}

bool is_subtag(std::string_view part) {
  return !part.empty() && part.size() <= 8 && std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

// Which Chinese a tag such as zh-TW or zho-hant-hk means.
const Language& chinese_of(const std::vector<std::string_view>& subtags) {
  const auto has = [&](std::string_view part) {
    return std::find(subtags.begin() + 1, subtags.end(), part) != subtags.end();
  };
  if (has("yue")) return language("yue");
  if (has("hant")) return language("zh-Hant");
  if (has("hans")) return language("zh");
  return has("tw") || has("hk") || has("mo") ? language("zh-Hant") : language("zh");
}

// Language tag with region, script or variant; null if it is none or its language is not in the table.
const Language* find_by_tag(const std::string& tag) {
  const std::vector<std::string_view> subtags = split_subtags(tag);
  if (subtags.size() < 2 || subtags[0].size() > 3) return nullptr;
  if (!std::all_of(subtags.begin(), subtags.end(), is_subtag)) return nullptr;
  const auto found = spellings().find(std::string(subtags[0]));
  if (found == spellings().end()) return nullptr;
  return found->second->code == "zh" ? &chinese_of(subtags) : found->second;
}

std::size_t edit_distance(std::u32string_view a, std::u32string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substitution, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// The nearest name, if it is near: one edit, or one in three characters of a long name. Codes of two letters
// are all near each other, so texts that short get no suggestion.
const Language* nearest(const std::string& folded) {
  const std::u32string wanted = decode(folded);
  if (wanted.size() < 3 || wanted.size() > 40) return nullptr;
  const Language* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  for (const Language& entry : kLanguages) {
    for (const std::string_view name :
         {entry.english_name, entry.native_name, entry.chinese_name, entry.code}) {
      const std::u32string known = decode(fold_name(name));
      if (known.size() < 3) continue;
      const std::size_t distance = edit_distance(wanted, known);
      if (distance < best_distance) {
        best_distance = distance;
        best = &entry;
      }
    }
  }
  return best;
}

// The English name of a language outside the table ("sv" -> "Swedish"), empty if the text is no language
// code.
std::string name_outside_table(const std::string& folded) {
  const std::string primary(folded.substr(0, folded.find('-')));
  if (primary.size() < 2 || primary.size() > 3 || !is_subtag(primary)) return "";
  UErrorCode error = U_ZERO_ERROR;
  std::array<UChar, 64> buffer;
  const std::int32_t length = uloc_getDisplayLanguage(primary.c_str(), "en", buffer.data(),
                                                      static_cast<std::int32_t>(buffer.size()), &error);
  if (error != U_ZERO_ERROR) return "";  // also when ICU only gives the code back
  std::string name;
  icu::UnicodeString(buffer.data(), length).toUTF8String(name);
  return name == primary ? "" : name;
}

base::Status unknown_language(std::string_view text, const std::string& folded) {
  constexpr std::size_t kShown = 60;
  const std::string shown = encode(decode(text).substr(0, kShown));
  const std::string outside = name_outside_table(folded);
  if (!outside.empty())
    return base::invalid("language \"{}\" ({}) is not one of the {} that the models translate; {}", shown,
                         outside, kLanguages.size(), kHowToListLanguages);
  if (const Language* near = nearest(folded))
    return base::invalid("unknown language \"{}\"; did you mean {} ({})? {}", shown, near->english_name,
                         near->code, kHowToListLanguages);
  return base::invalid("unknown language \"{}\"; {}", shown, kHowToListLanguages);
}

}  // namespace

std::span<const Language> languages() { return kLanguages; }

const Language* known_language(std::string_view text) {
  std::string folded = fold_name(text);
  const auto exact = spellings().find(folded);
  if (exact != spellings().end()) return exact->second;
  std::replace(folded.begin(), folded.end(), '_', '-');
  const auto dashed = spellings().find(folded);
  if (dashed != spellings().end()) return dashed->second;
  return find_by_tag(folded);
}

base::Result<const Language*> find_language(std::string_view text) {
  if (const Language* known = known_language(text)) return known;
  std::string folded = fold_name(text);
  std::replace(folded.begin(), folded.end(), '_', '-');
  return unknown_language(text, folded);
}

bool means_auto(std::string_view text) {
  const std::string folded = fold_name(text);
  return folded.empty() || folded == "auto" || folded == "detect" || folded == "auto-detect";
}

const Language& language(std::string_view code) {
  const auto found = std::find_if(kLanguages.begin(), kLanguages.end(),
                                  [&](const Language& entry) { return entry.code == code; });
  CHECK(found != kLanguages.end());
  return *found;
}

}  // namespace pagoda::translate

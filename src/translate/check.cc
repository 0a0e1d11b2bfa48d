#include "translate/check.h"

#include <algorithm>
#include <array>

#include "translate/detect.h"
#include "translate/glossary.h"
#include "translate/placeholders.h"

namespace pagoda::translate {
namespace {

bool has_content(std::u32string_view text) {
  return std::any_of(text.begin(), text.end(), [](char32_t c) { return is_word(c); });
}

std::int64_t count_lines(std::string_view text) {
  const std::string_view body = trim(text);
  return std::count(body.begin(), body.end(), '\n');
}

bool different_languages(const Task& task) {
  if (task.from != nullptr) return task.from != task.to;
  const Detection detection = detect_language(task.source);
  return detection.reliable && detection.language != task.to;
}

// One word which the target's script can write: names, brands, "OK" are often the same in both languages. Two
// characters are a word where the script has no spaces, and four a name.
bool may_stay_as_it_is(const Task& task, std::u32string_view text) {
  const ScriptCounts counts = count_scripts(text);
  if (counts.of_set(task.to->scripts) < counts.letters)
    return counts.largest() == Script::kLatin && counts.letters <= 4;
  if (!has_spaces(counts.largest())) return counts.letters <= 4;
  return std::none_of(text.begin(), text.end(), is_space);
}

// Latin letters that the source has as well are names and code, in any target language. Other letters copied
// from the source are words left untranslated.
std::u32string without_copied_latin(const Task& task, std::u32string_view output) {
  const std::u32string source = fold(decode(task.source));
  std::u32string kept;
  for (std::size_t i = 0; i < output.size();) {
    std::size_t end = i;
    while (end < output.size() && is_letter(output[end]) && script_of(output[end]) == Script::kLatin) ++end;
    const bool copied = end > i && source.find(fold(output.substr(i, end - i))) != std::u32string::npos;
    if (end == i) ++end;
    if (!copied) kept.append(output.substr(i, end - i));
    i = end;
  }
  return kept;
}

// Given terms are right in whatever script the glossary has them.
std::u32string without_terms(const Task& task, std::u32string text) {
  for (const Term& term : task.terms) {
    const std::u32string target = decode(term.target);
    if (target.empty()) continue;
    for (std::size_t at = text.find(target); at != std::u32string::npos; at = text.find(target, at))
      text.erase(at, target.size());
  }
  return text;
}

// The longest stretch at the end that is a repetition with some period, and that period.
struct Loop {
  std::size_t length = 0, period = 0;
};
constexpr std::size_t kTail = 4096;  // characters looked at
Loop loop_at_end(std::u32string_view text) {
  text = text.substr(text.size() - std::min(text.size(), kTail));
  Loop best;
  for (std::size_t period = 1; period <= text.size() / 3; ++period) {
    std::size_t same = 0;
    while (same + period < text.size() &&
           text[text.size() - 1 - same] == text[text.size() - 1 - same - period])
      ++same;
    if (same >= 2 * period && same + period > best.length) best = {same + period, period};
  }
  return best;
}

}  // namespace

const char* problem_name(Problem problem) {
  static constexpr std::array<const char*, kProblems> kNames = {
      "empty",     "echo",       "wrong_script", "lost_tag",      "lost_placeholder",
      "lost_line", "repetition", "truncated",    "template_text", "missing_term"};
  return kNames[static_cast<std::size_t>(problem)];
}

bool is_echo(const Task& task, std::string_view output) {
  const std::u32string source = fold(decode(trim(task.source)));
  if (source != fold(decode(trim(output)))) return false;
  if (count_scripts(source).letters == 0 || may_stay_as_it_is(task, source)) return false;
  if (task.from != nullptr && task.from->is_chinese && task.to->is_chinese)
    return false;  // share most characters
  const bool is_term = std::any_of(task.terms.begin(), task.terms.end(),
                                   [&](const Term& term) { return fold(decode(term.target)) == source; });
  return !is_term && different_languages(task);
}

bool is_wrong_script(const Task& task, std::string_view output) {
  const ScriptCounts counts = count_scripts(without_terms(task, without_copied_latin(task, decode(output))));
  if (counts.letters == 0) return false;
  if (counts.weight_of(task.to->scripts) * 2 < counts.weight()) return true;
  // Half of the letters of Japanese are Han, so a majority would miss Japanese for Chinese and Chinese for
  // Japanese. Chinese uses no kana but in names; twelve Han letters in a row without one kana are no Japanese
  // sentence.
  const std::int64_t kana = counts.of(Script::kKana), kanji = counts.of(Script::kHan);
  if (task.to->is_chinese) return kana * 5 > counts.letters;
  return task.to->main_script == Script::kKana && kana == 0 && kanji >= 12;
}

bool ends_in_repetition(std::string_view source, std::string_view output) {
  const std::u32string text = decode(trim(output));
  const Loop loop = loop_at_end(text);
  // Found on texts that repeat by right: "....", "ha ha ha ha", a line of dashes, "no, no, no". A single
  // character needs 16 in a row, longer pieces three rounds (the loop's condition) and 30 characters.
  const std::size_t least = loop.period == 1 ? 16 : 30;
  if (loop.length < least) return false;
  const Loop in_source = loop_at_end(decode(trim(source)));
  return in_source.length < 8 || loop.length > 4 * in_source.length;
}

bool has_template_text(std::string_view source, std::string_view output) {
  static constexpr std::array<std::string_view, 19> kPieces = {"<target>",
                                                               "</target>",
                                                               "<source>",
                                                               "</source>",
                                                               "<sn>",
                                                               "</sn>",
                                                               "<think>",
                                                               "</think>",
                                                               "<｜hy_",
                                                               "｜>",
                                                               "<|extra_",
                                                               "<|startoftext|>",
                                                               "<|eos|>",
                                                               "<|endoftext|>",
                                                               "不要额外解释",
                                                               "参考下面的翻译：",
                                                               "without additional explanation",
                                                               "without any additional explanation",
                                                               "Reference the following translations"};
  return std::any_of(kPieces.begin(), kPieces.end(), [&](std::string_view piece) {
    return output.find(piece) != std::string_view::npos && source.find(piece) == std::string_view::npos;
  });
}

std::vector<Problem> check_answer(const Task& task, const Cleaned& answer, bool stopped_by_length) {
  CHECK(task.to != nullptr);
  const std::string source = task.formatted ? without_tags(task.source) : task.source;
  const std::string output = task.formatted ? without_tags(answer.text) : answer.text;
  Task bare = task;
  bare.source = source;
  std::vector<Problem> problems;
  const auto add_if = [&](bool found, Problem problem) {
    if (found) problems.push_back(problem);
  };
  const bool empty = trim(output).empty();
  add_if(empty && has_content(decode(source)), Problem::kEmpty);
  if (!empty) {
    add_if(is_echo(bare, output), Problem::kEcho);
    add_if(is_wrong_script(bare, output), Problem::kWrongScript);
    add_if(!answer.tags.ok(), Problem::kLostTag);
    add_if(!lost_placeholders(source, output).empty(), Problem::kLostPlaceholder);
    add_if(count_lines(source) != count_lines(output), Problem::kLostLine);
    add_if(ends_in_repetition(source, output), Problem::kRepetition);
  }
  add_if(stopped_by_length, Problem::kTruncated);
  if (!empty) {
    add_if(has_template_text(source, output), Problem::kTemplateText);
    add_if(!missing_terms(task.terms, output).empty(), Problem::kMissingTerm);
  }
  return problems;
}

}  // namespace pagoda::translate

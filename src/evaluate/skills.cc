#include "evaluate/skills.h"

#include <algorithm>
#include <array>
#include <set>

#include "evaluate/term_pairs.h"
#include "translate/check.h"
#include "translate/glossary.h"
#include "translate/placeholders.h"
#include "translate/tags.h"
#include "translate/unicode.h"

namespace pagoda::evaluate {
namespace {

using translate::decode;
using translate::encode;

SkillLine start_line(Skill skill, const Direction& direction, std::size_t index,
                     const DirectionScore& score) {
  const TestLine& line = direction.lines[index];
  SkillLine built;
  built.skill = skill;
  built.question.task.source = line.source;
  built.question.task.from = direction.from;
  built.question.task.to = direction.to;
  built.question.origin = line.origin;
  built.plain = score.hypotheses[index];
  built.reference = line.reference;
  return built;
}

// Words to mark or replace: the term if there is one, then the longest. Never two that are one another's
// part.
std::vector<std::string> words_to_mark(const TestLine& line, const std::optional<translate::Term>& term) {
  std::vector<std::string> words;
  if (term) words.push_back(term->source);
  std::vector<std::u32string> others;
  for (const std::u32string& word : candidate_terms(line.source))
    if (translate::has_spaces(translate::script_of(word.front()))) others.push_back(word);
  std::stable_sort(others.begin(), others.end(),
                   [](const std::u32string& a, const std::u32string& b) { return a.size() > b.size(); });
  for (const std::u32string& other : others) {
    const std::string word = encode(other);
    const bool overlaps = std::any_of(words.begin(), words.end(), [&](const std::string& taken) {
      return taken.find(word) != std::string::npos || word.find(taken) != std::string::npos;
    });
    if (!overlaps) words.push_back(word);
  }
  return words;
}

// A word that is found inside another one would be replaced there: only whole words count.
std::size_t find_word(const std::string& text, const std::string& word) {
  const auto is_edge = [](std::string_view side, bool before) {
    if (side.empty()) return true;
    const std::u32string characters = decode(side);
    const char32_t c = before ? characters.back() : characters.front();
    return !translate::is_word(c) || !translate::has_spaces(translate::script_of(c));
  };
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    if (is_edge(std::string_view(text).substr(0, at), true) &&
        is_edge(std::string_view(text).substr(at + word.size()), false))
      return at;
  return std::string::npos;
}

bool replace_word(std::string& text, const std::string& word, const std::string& by) {
  const std::size_t at = find_word(text, word);
  if (at == std::string::npos) return false;
  text.replace(at, word.size(), by);
  return true;
}

// The tags are numbered as they come in the text.
std::string with_tags(const std::string& source, const std::vector<std::string>& words, std::size_t count) {
  std::vector<std::pair<std::size_t, std::string>> places;
  for (const std::string& word : words) {
    const std::size_t at = find_word(source, word);
    if (at != std::string::npos && places.size() < count) places.emplace_back(at, word);
  }
  if (places.size() < count) return "";
  std::sort(places.begin(), places.end());
  std::string text = source;
  for (std::size_t i = places.size(); i-- > 0;)
    text.replace(places[i].first, places[i].second.size(),
                 fmt::format("<s{0}>{1}</s{0}>", i + 1, places[i].second));
  return text;
}

// The digits [begin, end) of the first number; empty without one, and where the number goes on behind a point
// or comma: half of 1,234.5 in another's place would be no number.
std::pair<std::size_t, std::size_t> find_number(const std::string& text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto begin =
      static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_digit) - text.begin());
  std::size_t end = begin;
  while (end < text.size() && is_digit(text[end])) ++end;
  const bool goes_on = end + 1 < text.size() && is_digit(text[end + 1]);
  return goes_on ? std::pair(begin, begin) : std::pair(begin, end);
}

// Full-width and Arabic-Indic digits as ASCII ones.
std::string with_plain_digits(std::string_view text) {
  std::u32string plain = decode(text);
  for (char32_t& c : plain) {
    if (c >= 0xff10 && c <= 0xff19) c = c - 0xff10 + U'0';
    if (c >= 0x0660 && c <= 0x0669) c = c - 0x0660 + U'0';
  }
  return encode(plain);
}

constexpr std::size_t kGram = 4;  // characters

std::set<std::u32string> grams_of(std::string_view text) {
  const std::u32string characters = translate::fold(decode(text));
  std::set<std::u32string> grams;
  for (std::size_t i = 0; i + kGram <= characters.size(); ++i) grams.insert(characters.substr(i, kGram));
  return grams;
}

// The answer has half of what `context` says and the line itself does not.
bool tells(const std::string& answer, const std::string& context, const std::string& plain,
           const std::string& reference) {
  std::set<std::u32string> own = grams_of(plain);
  own.merge(grams_of(reference));
  std::size_t told = 0, all = 0;
  const std::set<std::u32string> said = grams_of(answer);
  for (const std::u32string& gram : grams_of(context)) {
    if (own.contains(gram)) continue;
    ++all;
    told += said.contains(gram) ? 1 : 0;
  }
  return all > 0 && 2 * told >= all;
}

// Fills `built` from the line; false if the line will not do.
bool build(SkillLine& built, const Direction& direction, std::size_t index, const DirectionScore& score,
           const std::optional<translate::Term>& term) {
  translate::Task& task = built.question.task;
  const TestLine& line = direction.lines[index];
  switch (built.skill) {
    case Skill::kTerminology:
      if (!term) return false;
      task.terms = {*term};
      return true;
    case Skill::kTags:
    case Skill::kTwoTags: {
      const std::string tagged =
          with_tags(line.source, words_to_mark(line, term), built.skill == Skill::kTags ? 1 : 2);
      if (tagged.empty() || !translate::find_tags(line.source).empty()) return false;
      task.source = tagged;
      task.formatted = true;
      return true;
    }
    case Skill::kNumbers: {
      const auto [begin, end] = find_number(line.source);
      if (begin == end ||
          with_plain_digits(line.reference).find(line.source.substr(begin, end - begin)) == std::string::npos)
        return false;  // the reference writes it in words: so may the model
      built.number = std::to_string(137 + index * 71 % 800);
      task.source.replace(begin, end - begin, built.number);
      return true;
    }
    case Skill::kPlaceholders: {
      const std::vector<std::string> words = words_to_mark(line, term);
      if (index % 3 == 2) {
        task.source += fmt::format(" https://example.org/page/{}", index);
        return true;
      }
      return !words.empty() && replace_word(task.source, words.front(), index % 3 == 0 ? "{name}" : "%s");
    }
    case Skill::kContext:
      if (index == 0) return false;
      task.context = direction.lines[index - 1].source;
      built.context_translation = score.hypotheses[index - 1];
      return direction.lines[index - 1].source != line.source;
    case Skill::kScript:
    case Skill::kStop:
      break;
  }
  return false;
}

}  // namespace

const char* skill_name(Skill skill) {
  static constexpr std::array<const char*, kSkills> kNames = {
      "terminology", "tags", "two_tags", "numbers", "placeholders", "context", "script", "stop"};
  return kNames[static_cast<std::size_t>(skill)];
}

std::vector<SkillLine> build_skill_lines(const std::vector<Direction>& directions,
                                         const Evaluation& evaluation, std::size_t each) {
  std::vector<SkillLine> lines;
  for (std::size_t d = 0; d < directions.size(); ++d) {
    const Direction& direction = directions[d];
    const auto terms = find_term_pairs(direction);
    for (int skill = 0; skill < kSkills; ++skill) {
      std::size_t count = 0;
      for (std::size_t i = 0; i < direction.lines.size() && count < each; ++i) {
        SkillLine built = start_line(static_cast<Skill>(skill), direction, i, evaluation.directions[d]);
        if (!build(built, direction, i, evaluation.directions[d], terms[i])) continue;
        lines.push_back(std::move(built));
        ++count;
      }
    }
  }
  return lines;
}

bool is_right(const SkillLine& line, const Answer& answer) {
  const translate::Task& task = line.question.task;
  switch (line.skill) {
    case Skill::kTerminology:
      return translate::missing_terms(task.terms, answer.text).empty();
    case Skill::kTags:
    case Skill::kTwoTags:
      return translate::restore_tags(task.source, answer.raw).report.ok();
    case Skill::kNumbers:
      return with_plain_digits(answer.text).find(line.number) != std::string::npos;
    case Skill::kPlaceholders:
      return translate::lost_placeholders(task.source, answer.text).empty();
    case Skill::kContext:
      return !tells(answer.text, task.context, line.plain, line.reference) &&
             !tells(answer.text, line.context_translation, line.plain, line.reference);
    case Skill::kScript:
      return !translate::is_wrong_script(task, answer.text);
    case Skill::kStop:
      return answer.stopped;
  }
  return false;
}

base::Result<std::vector<SkillRate>> measure_skills(
    engine::Engine& engine, const std::vector<Direction>& directions, const Evaluation& evaluation,
    const AnswerOptions& options, const std::function<void(std::size_t, std::size_t)>& done) {
  std::vector<SkillRate> rates(kSkills);
  for (int skill = 0; skill < kSkills; ++skill) rates[skill].skill = static_cast<Skill>(skill);
  rates[static_cast<int>(Skill::kTerminology)].right_without = 0;

  const std::vector<SkillLine> lines = build_skill_lines(directions, evaluation, kSkillLines);
  std::vector<Question> questions;
  for (const SkillLine& line : lines) questions.push_back(line.question);
  ASSIGN_OR_RETURN(const std::vector<Answer> answers,
                   answer_all(engine, questions, options, [&](std::size_t answered, std::int64_t) {
                     if (done) done(answered, lines.size());
                   }));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    SkillRate& rate = rates[static_cast<std::size_t>(lines[i].skill)];
    ++rate.lines;
    rate.right += is_right(lines[i], answers[i]) ? 1 : 0;
    if (rate.right_without)
      *rate.right_without +=
          translate::missing_terms(lines[i].question.task.terms, lines[i].plain).empty() ? 1 : 0;
  }
  // The plain answers, all of them.
  SkillRate& script = rates[static_cast<int>(Skill::kScript)];
  SkillRate& stop = rates[static_cast<int>(Skill::kStop)];
  for (std::size_t d = 0; d < directions.size(); ++d) {
    const DirectionScore& score = evaluation.directions[d];
    stop.lines += score.lines.size();
    stop.right += score.lines.size() - score.cut;
    for (std::size_t i = 0; i < score.hypotheses.size(); ++i) {
      Answer plain;
      plain.text = score.hypotheses[i];
      ++script.lines;
      script.right += is_right(start_line(Skill::kScript, directions[d], i, score), plain) ? 1 : 0;
    }
  }
  return rates;
}

}  // namespace pagoda::evaluate

#pragma once
// What translation asks for beside good sentences: terms obeyed, tags, numbers and placeholders kept, the
// context not told, the right script, an end. Lines are built from test lines, answered once, greedily, and
// each is right or wrong. Building and judging are pure; measure_skills() blocks.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/answers.h"
#include "evaluate/evaluation.h"

namespace pagoda::evaluate {

enum class Skill {
  kTerminology,   // a term of the source, given with its translation: the answer has it
  kTags,          // <s1></s1> around a word: both come back, nothing else does
  kTwoTags,       // around two words
  kNumbers,       // a number put in place of the source's: the answer has it
  kPlaceholders,  // {name}, %s or an address in the source: the answer has it unchanged
  kContext,       // the line before as context: the answer does not tell it
  kScript,        // most letters are of the target language's scripts
  kStop,          // the answer ends by itself
};
inline constexpr int kSkills = static_cast<int>(Skill::kStop) + 1;
const char* skill_name(Skill skill);  // "terminology", "tags", ...

struct SkillLine {
  Skill skill{};
  Question question;
  std::string plain;                // the answer without context, terms and tags
  std::string reference;            // of the line it was built from
  std::string context_translation;  // kContext: the plain answer to the context
  std::string number;               // kNumbers
};

struct SkillRate {
  Skill skill{};
  std::size_t right = 0, lines = 0;
  std::optional<std::size_t> right_without;  // kTerminology: plain answers that have the term anyway

  double rate() const { return static_cast<double>(right) / static_cast<double>(lines); }
};

// At most `each` lines a skill and direction, the first that will do. For kScript and kStop there is nothing
// to build: they are judged on the plain answers.
std::vector<SkillLine> build_skill_lines(const std::vector<Direction>& directions,
                                         const Evaluation& evaluation, std::size_t each);
bool is_right(const SkillLine& line, const Answer& answer);

inline constexpr std::size_t kSkillLines = 25;

// A rate for each skill, in the order of the enumeration; one with no line that will do has 0 lines.
base::Result<std::vector<SkillRate>> measure_skills(
    engine::Engine& engine, const std::vector<Direction>& directions, const Evaluation& evaluation,
    const AnswerOptions& options, const std::function<void(std::size_t, std::size_t)>& done);

}  // namespace pagoda::evaluate

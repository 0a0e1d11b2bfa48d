#pragma once
// What is visibly wrong with a translation, without knowing the languages: each problem is one that users of
// the models have reported. The caller retries once with other settings and names what is left in its answer.
// Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "translate/clean.h"
#include "translate/task.h"

namespace pagoda::translate {

enum class Problem {
  kEmpty,            // nothing but white space, for a source that has letters or digits
  kEcho,             // the source again
  kWrongScript,      // most letters are of scripts that the target language does not use
  kLostTag,          // <sN> tags lost, added or badly nested in a formatted task
  kLostPlaceholder,  // {0}, %s, addresses changed or gone
  kLostLine,         // another number of lines than the source
  kRepetition,       // the end goes round in circles
  kTruncated,        // generation ran into its token limit
  kTemplateText,     // pieces of the prompt or of the chat template in the answer
  kMissingTerm,      // a glossary term was not used
};
inline constexpr int kProblems = static_cast<int>(Problem::kMissingTerm) + 1;
const char* problem_name(Problem problem);  // "empty", "echo", "wrong_script", ...

// `answer` is what clean_answer made of the model's text. The list is in the order of the enumeration,
// without repeats.
std::vector<Problem> check_answer(const Task& task, const Cleaned& answer, bool stopped_by_length);

// The single checks, where they are more than a comparison.
bool is_echo(const Task& task, std::string_view output);
bool is_wrong_script(const Task& task, std::string_view output);
// `source` may go round in circles itself; then the output may as well.
bool ends_in_repetition(std::string_view source, std::string_view output);
bool has_template_text(std::string_view source, std::string_view output);

}  // namespace pagoda::translate

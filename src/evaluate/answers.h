#pragma once
// Many tasks through the engine at once, each answered once, greedily: a yardstick measures what the model
// says by itself, so nothing is tried again. Blocks; one caller at a time.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "translate/prompts.h"
#include "translate/task.h"

namespace pagoda::evaluate {

struct Question {
  translate::Task task;
  std::string origin;  // where it comes from, for messages: "FILE line 12"
};

struct Answer {
  std::string raw;       // the model's text
  std::string text;      // what translate/clean.h makes of it, in one line: what a user would get
  bool stopped = false;  // by itself, before the limit of tokens
  std::int32_t prompt_tokens = 0, cached_tokens = 0, answer_tokens = 0;
};

struct AnswerOptions {
  translate::PromptStyle style = translate::PromptStyle::kHyMt15;
  std::int32_t max_tokens = 0;  // of an answer; 0: what translate/ allows for the length of the source
};

// In the order of the questions. `done` (may be empty) hears how many are answered and the tokens generated
// so far. An error names the origin of the question that the model has no room for.
base::Result<std::vector<Answer>> answer_all(engine::Engine& engine, const std::vector<Question>& questions,
                                             const AnswerOptions& options,
                                             const std::function<void(std::size_t, std::int64_t)>& done);

}  // namespace pagoda::evaluate

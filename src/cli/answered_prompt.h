#pragma once
// A translation as the model sees it while it is taught or asked what it thinks of it: prompt, answer, end.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "translate/prompts.h"

namespace pagoda::cli {

struct AnsweredPrompt {
  std::vector<std::int32_t> tokens;
  std::size_t answer = 0;  // where the answer begins
};

// An empty answer: the prompt alone. Cut to `longest` tokens.
base::Result<AnsweredPrompt> answered_prompt(const text::Tokenizer& tokenizer, const text::ChatTemplate& chat,
                                             translate::PromptStyle style, const translate::Task& task,
                                             const std::string& answer, std::size_t longest);

}  // namespace pagoda::cli

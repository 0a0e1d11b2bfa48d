#pragma once
// The user message that asks a model for a translation, in the wording the models were trained on.
//
// Official wordings (the READMEs of HY-MT1.5 and Hy-MT2) exist for: plain, terminology, context, and, for
// HY-MT1.5, text with <sN></sN> tags. Which language the instruction is in follows HY-MT1.5's rule for both
// families: Chinese where one side of the pair is Chinese, English otherwise, and Chinese where only a
// Chinese wording exists. Combinations have no official wording; ours are made of the official parts, in this
// order: terms, context, instruction. Both families get the tag wording of HY-MT1.5, as Hy-MT2 publishes
// none.
//
// Pure functions; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/chat_template.h"
#include "translate/task.h"

namespace pagoda::translate {

enum class PromptStyle { kHyMt15, kHyMt2 };
const char* prompt_style_name(PromptStyle style);  // "hy-mt1.5", "hy-mt2"

// `flag` is "hy-mt1.5", "hy-mt2" or "auto" (also empty): then a model whose directory or config name contains
// "mt2" gets kHyMt2, all others kHyMt15. kInvalidArgument for any other flag.
base::Result<PromptStyle> choose_prompt_style(std::string_view flag, std::string_view model_name);

// The text of the only message: the models have no system prompt.
std::string user_text(const Task& task, PromptStyle style);
std::vector<text::Message> build_messages(const Task& task, PromptStyle style);

}  // namespace pagoda::translate

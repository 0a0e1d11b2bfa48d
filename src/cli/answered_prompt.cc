#include "cli/answered_prompt.h"

namespace pagoda::cli {

base::Result<AnsweredPrompt> answered_prompt(const text::Tokenizer& tokenizer, const text::ChatTemplate& chat,
                                             translate::PromptStyle style, const translate::Task& task,
                                             const std::string& answer, std::size_t longest) {
  ASSIGN_OR_RETURN(std::vector<text::TokenId> ids,
                   chat.render(tokenizer, translate::build_messages(task, style)));
  AnsweredPrompt prompt;
  prompt.answer = ids.size();
  if (!answer.empty()) {
    for (const text::TokenId id : tokenizer.encode(answer)) ids.push_back(id);
    ids.push_back(chat.stop_ids().front());
  }
  if (ids.size() > longest) ids.resize(longest);
  for (const text::TokenId id : ids) prompt.tokens.push_back(id.value);
  return prompt;
}

}  // namespace pagoda::cli

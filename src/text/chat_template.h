#pragma once
// Prompt layouts of the three Hunyuan families, as token ids. The family is found from the tokenizer's
// special tokens, not from names or config. Message texts are encoded as plain text, so nobody can smuggle a
// turn into a prompt. Sources: tencent's chat_template.jinja of each family, see docs/models.md.

#include <string>
#include <vector>

#include "base/status.h"
#include "text/tokenizer.h"

namespace pagoda::text {

enum class Family {
  kHyDense,   // 1.8B: [BOS] system [no 3] [User] text [Assistant]
  kTiktoken,  // 7B:   [startoftext] system [extra_4] text [extra_0]
  kHyMoe,     // 30B:  [BOS] system [reasoning_mode] reasoning_effort:no_think [User] text
              // [Assistant][<think>][</think>]
};
const char* family_name(Family family);  // "hy (1.8B)", "tiktoken (7B)", "hy MoE (30B)"

enum class Role { kSystem, kUser, kAssistant };
struct Message {
  Role role;
  std::string content;
};

class ChatTemplate {
 public:
  // kUnimplemented, naming the tokens looked for, when the tokenizer belongs to none of the families.
  static base::Result<ChatTemplate> detect(const Tokenizer& tokenizer);

  Family family() const { return family_; }
  // Ids on which generation stops, by family (1.8B: placeholder no 2; 7B: eos, endoftext, extra_5; 30B: its
  // eos).
  const std::vector<TokenId>& stop_ids() const { return stop_ids_; }
  // The prompt of a conversation, ready for the assistant's answer. kInvalidArgument if the messages are
  // empty, or a system message is not the first, or the last message is the assistant's.
  base::Result<std::vector<TokenId>> render(const Tokenizer& tokenizer,
                                            const std::vector<Message>& messages) const;

 private:
  using Ids = std::vector<TokenId>;
  Ids render_hy_dense(const Tokenizer& tokenizer, const std::vector<Message>& messages) const;
  Ids render_tiktoken(const Tokenizer& tokenizer, const std::vector<Message>& messages) const;
  Ids render_hy_moe(const Tokenizer& tokenizer, const std::vector<Message>& messages) const;

  Family family_ = Family::kHyDense;
  std::vector<TokenId> stop_ids_;
  // Special ids by role; which are used depends on the family.
  TokenId bos_, user_, assistant_, end_of_turn_, end_of_system_, reasoning_mode_, think_, end_think_;
};

}  // namespace pagoda::text

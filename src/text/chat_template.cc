#include "text/chat_template.h"

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

namespace pagoda::text {
namespace {

using Ids = std::vector<TokenId>;

// The hy names are written with U+FF5C and U+2581.
constexpr std::string_view kHyBos = "<｜hy_begin▁of▁sentence｜>";
constexpr std::string_view kHyUser = "<｜hy_User｜>";
constexpr std::string_view kHyAssistant = "<｜hy_Assistant｜>";
constexpr std::string_view kHyEndOfTurn = "<｜hy_place▁holder▁no▁2｜>";
constexpr std::string_view kHyEndOfSystem = "<｜hy_place▁holder▁no▁3｜>";
constexpr std::string_view kMoeReasoningMode = "<｜reasoning_mode｜>";
constexpr std::string_view kMoeThink = "<think>";
constexpr std::string_view kMoeEndThink = "</think>";
constexpr std::string_view kMoeEos = "<eos:6124c78e>";
constexpr std::string_view kMoeNoThink = "reasoning_effort:no_think";
constexpr TokenId kMoeEosId(120025);  // early files call it <｜hy_eos｜>; the id never changed
constexpr std::string_view kTiktokenStart = "<|startoftext|>";
constexpr std::string_view kTiktokenEndOfUser = "<|extra_0|>";
constexpr std::string_view kTiktokenEndOfSystem = "<|extra_4|>";
constexpr std::string_view kTiktokenEos = "<|eos|>";

// Looks all of `names` up; false if one is missing.
bool find_all(const Tokenizer& tokenizer,
              std::initializer_list<std::pair<std::string_view, TokenId*>> names) {
  for (const auto& [name, id] : names) {
    const std::optional<TokenId> found = tokenizer.special_id(name);
    if (!found) return false;
    *id = *found;
  }
  return true;
}

void append_text(const Tokenizer& tokenizer, const std::string& text, Ids& ids) {
  const Ids encoded = tokenizer.encode(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());
}

base::Status check_order(const std::vector<Message>& messages) {
  if (messages.empty()) return base::invalid("messages is empty");
  for (std::size_t i = 1; i < messages.size(); ++i)
    if (messages[i].role == Role::kSystem)
      return base::invalid("messages[{}] is a system message, and only the first may be", i);
  if (messages.back().role == Role::kAssistant)
    return base::invalid("the last message is the assistant's, so there is nothing to answer");
  return base::Status();
}

}  // namespace

const char* family_name(Family family) {
  switch (family) {
    case Family::kHyDense:
      return "hy (1.8B)";
    case Family::kTiktoken:
      return "tiktoken (7B)";
    case Family::kHyMoe:
      return "hy MoE (30B)";
  }
  return "?";
}

base::Result<ChatTemplate> ChatTemplate::detect(const Tokenizer& tokenizer) {
  ChatTemplate result;
  const bool hy = find_all(
      tokenizer, {{kHyBos, &result.bos_}, {kHyUser, &result.user_}, {kHyAssistant, &result.assistant_}});
  if (hy && find_all(tokenizer, {{kMoeReasoningMode, &result.reasoning_mode_},
                                 {kMoeThink, &result.think_},
                                 {kMoeEndThink, &result.end_think_}})) {
    result.family_ = Family::kHyMoe;
    result.end_of_turn_ = tokenizer.special_id(kMoeEos).value_or(kMoeEosId);
    if (result.end_of_turn_.value < tokenizer.vocab_size()) {
      result.stop_ids_ = {result.end_of_turn_};
      return result;
    }
  } else if (hy && find_all(tokenizer, {{kHyEndOfTurn, &result.end_of_turn_},
                                        {kHyEndOfSystem, &result.end_of_system_}})) {
    result.family_ = Family::kHyDense;
    result.stop_ids_ = {result.end_of_turn_};
    return result;
  } else if (find_all(tokenizer, {{kTiktokenStart, &result.bos_},
                                  {kTiktokenEndOfUser, &result.user_},
                                  {kTiktokenEndOfSystem, &result.end_of_system_},
                                  {kTiktokenEos, &result.end_of_turn_}})) {
    result.family_ = Family::kTiktoken;
    result.stop_ids_ = {result.end_of_turn_};
    for (const char* name : {"<|endoftext|>", "<|extra_5|>"})
      if (const std::optional<TokenId> id = tokenizer.special_id(name)) result.stop_ids_.push_back(*id);
    return result;
  }
  return base::error(
      base::Code::kUnimplemented,
      "the tokenizer has the special tokens of no known family: neither {}, {}, {} with {} and {} (1.8B) "
      "or {}, {}, {} and {} (30B), nor {}, {}, {} and {} (7B)",
      kHyBos, kHyUser, kHyAssistant, kHyEndOfTurn, kHyEndOfSystem, kMoeReasoningMode, kMoeThink, kMoeEndThink,
      kMoeEos, kTiktokenStart, kTiktokenEndOfUser, kTiktokenEndOfSystem, kTiktokenEos);
}

base::Result<Ids> ChatTemplate::render(const Tokenizer& tokenizer,
                                       const std::vector<Message>& messages) const {
  RETURN_IF_ERROR(check_order(messages));
  switch (family_) {
    case Family::kHyDense:
      return render_hy_dense(tokenizer, messages);
    case Family::kTiktoken:
      return render_tiktoken(tokenizer, messages);
    case Family::kHyMoe:
      return render_hy_moe(tokenizer, messages);
  }
  return base::error(base::Code::kInternal, "unknown family");
}

Ids ChatTemplate::render_hy_dense(const Tokenizer& tokenizer, const std::vector<Message>& messages) const {
  Ids ids{bos_};
  for (const Message& message : messages) {
    if (message.role == Role::kUser) ids.push_back(user_);
    if (message.role == Role::kAssistant) ids.push_back(assistant_);
    append_text(tokenizer, message.content, ids);
    if (message.role == Role::kSystem) ids.push_back(end_of_system_);
    if (message.role == Role::kAssistant) ids.push_back(end_of_turn_);
  }
  ids.push_back(assistant_);
  return ids;
}

Ids ChatTemplate::render_tiktoken(const Tokenizer& tokenizer, const std::vector<Message>& messages) const {
  Ids ids;
  bool begun = false;  // the system message has opened the first turn already
  for (const Message& message : messages) {
    if (message.role == Role::kSystem && message.content.empty()) continue;  // as in the original: no head
    if (message.role != Role::kAssistant && !begun) ids.push_back(bos_);
    append_text(tokenizer, message.content, ids);
    begun = message.role == Role::kSystem;
    ids.push_back(begun ? end_of_system_ : message.role == Role::kUser ? user_ : end_of_turn_);
  }
  return ids;
}

Ids ChatTemplate::render_hy_moe(const Tokenizer& tokenizer, const std::vector<Message>& messages) const {
  Ids ids{bos_};
  const bool system = messages[0].role == Role::kSystem;
  if (system) append_text(tokenizer, messages[0].content, ids);
  ids.push_back(reasoning_mode_);
  append_text(tokenizer, std::string(kMoeNoThink), ids);
  const auto answer = [&] { ids.insert(ids.end(), {assistant_, think_, end_think_}); };
  for (std::size_t i = system ? 1 : 0; i < messages.size(); ++i) {
    const bool user = messages[i].role == Role::kUser;
    if (user)
      ids.push_back(user_);
    else
      answer();
    append_text(tokenizer, messages[i].content, ids);
    if (!user) ids.push_back(end_of_turn_);
  }
  answer();
  return ids;
}

}  // namespace pagoda::text

#pragma once
// Bodies of /v1/chat/completions and /v1/completions as they were meant; one parse for both. What the engine
// cannot do is refused by name (kUnimplemented), fields that nobody knows are ignored. Pure; any thread.

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "engine/request.h"
#include "text/chat_template.h"
#include "translate/sampling.h"

namespace pagoda::serve {

enum class OpenAiKind { kChat, kCompletion };

inline constexpr std::int32_t kMaxOpenAiN = 8;
inline constexpr std::size_t kMaxOpenAiChoices =
    128;  // prompts times n: all of them go to the engine at once

using OpenAiPrompt = std::variant<std::string, std::vector<text::TokenId>>;

struct OpenAiRequest {
  OpenAiKind kind = OpenAiKind::kChat;
  std::string model;                    // empty: not given
  std::vector<text::Message> messages;  // chat
  std::vector<OpenAiPrompt> prompts;    // completions; at least one
  engine::Request request;              // of each choice; its prompt and seed are set later
  std::optional<std::uint64_t> seed;
  std::int32_t n = 1;
  bool stream = false;
  bool include_usage = false;
  bool echo = false;                                       // completions
  std::optional<boost::json::object> translation_options;  // chat

  bool wants_logprobs() const { return request.sampling.logprobs >= 0; }
};

// `defaults`: sampling fields that are not given.
base::Result<OpenAiRequest> parse_openai(OpenAiKind kind, std::string_view body,
                                         const translate::OfficialSampling& defaults);

// The messages of a chat: text content alone, whole or in parts.
base::Result<std::vector<text::Message>> parse_openai_messages(const boost::json::object& body);
// A string, strings, token ids, or arrays of token ids.
base::Result<std::vector<OpenAiPrompt>> parse_openai_prompts(const boost::json::object& body);

// The seed of choice `index`: the request's for the first, so that n does not change it, others are far
// apart.
std::uint64_t openai_choice_seed(std::uint64_t seed, std::int32_t index);

}  // namespace pagoda::serve

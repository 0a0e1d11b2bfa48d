#pragma once
// The tokens of an answer beside its text, with their probabilities, in the two shapes of OpenAI's API.
// Belongs to one answer; one thread.

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "engine/request.h"
#include "serve/openai/request.h"
#include "text/tokenizer.h"

namespace pagoda::serve {

// A token and where the character begins in the answer's text that its first byte is part of.
struct PlacedToken {
  execute::SampledToken token;
  std::size_t begin_bytes = 0;
  std::size_t begin_characters = 0;
};

// Holds tokens back until the text that they begin is sent, so that a piece of a stream has the tokens of its
// text, and the tokens of a stop string, whose text is never sent, are in none.
class AnswerTokens {
 public:
  explicit AnswerTokens(const text::Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  void add(std::vector<execute::SampledToken> tokens);
  // The last one ended the answer and is no part of it.
  void drop_last() { waiting_.pop_back(); }
  // Those that begin before that byte of the answer.
  std::vector<PlacedToken> take(std::size_t end_bytes);
  std::vector<PlacedToken> take_all() { return take(static_cast<std::size_t>(-1)); }

 private:
  const text::Tokenizer* tokenizer_;
  std::deque<PlacedToken> waiting_;
  std::size_t bytes_ = 0, characters_ = 0;  // of text that is complete
  std::string incomplete_;                  // bytes of the character behind it
};

// The value of "logprobs" in a choice of that kind.
std::string openai_logprobs(OpenAiKind kind, const text::Tokenizer& tokenizer,
                            std::span<const PlacedToken> tokens);

// How the API writes a token that is no text by itself: \xe4\xbd
std::string openai_token_text(const text::Tokenizer& tokenizer, std::int32_t token);

}  // namespace pagoda::serve

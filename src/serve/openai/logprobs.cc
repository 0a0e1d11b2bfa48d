#include "serve/openai/logprobs.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "serve/json_text.h"
#include "text/utf8.h"

namespace pagoda::serve {
namespace {

std::string_view bytes_of(const text::Tokenizer& tokenizer, std::int32_t token) {
  return tokenizer.token_bytes(text::TokenId(token), /*with_specials=*/true);
}

void append_number(std::string& out, float logprob) {
  // JSON has no infinity; the API writes -9999 for what cannot be.
  fmt::format_to(std::back_inserter(out), "{}", std::isfinite(logprob) ? logprob : -9999.0f);
}

void append_chat_token(const text::Tokenizer& tokenizer, std::int32_t token, float logprob,
                       std::string& out) {
  out += R"({"token":)";
  append_json_string(out, openai_token_text(tokenizer, token));
  out += R"(,"logprob":)";
  append_number(out, logprob);
  out += R"(,"bytes":[)";
  bool first = true;
  for (const char byte : bytes_of(tokenizer, token)) {
    if (!first) out += ',';
    first = false;
    fmt::format_to(std::back_inserter(out), "{}", static_cast<unsigned char>(byte));
  }
  out += ']';
}

std::string chat_logprobs(const text::Tokenizer& tokenizer, std::span<const PlacedToken> tokens) {
  std::string out = R"({"content":[)";
  for (const PlacedToken& placed : tokens) {
    if (&placed != tokens.data()) out += ',';
    append_chat_token(tokenizer, placed.token.token, placed.token.logprob, out);
    out += R"(,"top_logprobs":[)";
    bool first = true;
    for (const execute::TokenLogprob& top : placed.token.top_logprobs) {
      if (!first) out += ',';
      first = false;
      append_chat_token(tokenizer, top.token, top.logprob, out);
      out += '}';
    }
    out += "]}";
  }
  return out + R"(],"refusal":null})";
}

void append_completion_token(const text::Tokenizer& tokenizer, std::int32_t token, std::string& out) {
  const std::string_view bytes = bytes_of(tokenizer, token);
  const bool whole = text::valid_utf8_prefix(bytes) == bytes.size();
  append_json_string(out, (whole ? "" : "bytes:") + openai_token_text(tokenizer, token));
}

// The likeliest tokens, and the chosen one if it is not among them.
void append_completion_top(const text::Tokenizer& tokenizer, const execute::SampledToken& token,
                           std::string& out) {
  bool chosen = false;
  out += '{';
  for (const execute::TokenLogprob& top : token.top_logprobs) {
    append_completion_token(tokenizer, top.token, out);
    out += ':';
    append_number(out, top.logprob);
    out += ',';
    chosen = chosen || top.token == token.token;
  }
  if (!chosen) {
    append_completion_token(tokenizer, token.token, out);
    out += ':';
    append_number(out, token.logprob);
  } else {
    out.pop_back();
  }
  out += '}';
}

std::string completion_logprobs(const text::Tokenizer& tokenizer, std::span<const PlacedToken> tokens) {
  std::string texts, logprobs, tops, offsets;
  for (const PlacedToken& placed : tokens) {
    if (&placed != tokens.data())
      for (std::string* list : {&texts, &logprobs, &tops, &offsets}) *list += ',';
    append_completion_token(tokenizer, placed.token.token, texts);
    append_number(logprobs, placed.token.logprob);
    append_completion_top(tokenizer, placed.token, tops);
    fmt::format_to(std::back_inserter(offsets), "{}", placed.begin_characters);
  }
  return fmt::format(R"({{"tokens":[{}],"token_logprobs":[{}],"top_logprobs":[{}],"text_offset":[{}]}})",
                     texts, logprobs, tops, offsets);
}

}  // namespace

void AnswerTokens::add(std::vector<execute::SampledToken> tokens) {
  for (execute::SampledToken& token : tokens) {
    // Special tokens are not in the text.
    incomplete_ += tokenizer_->token_bytes(text::TokenId(token.token));
    waiting_.push_back({std::move(token), bytes_, characters_});
    while (!incomplete_.empty()) {
      const text::Utf8Step step = text::next_utf8(incomplete_);
      if (step.kind == text::Utf8Kind::kIncomplete) break;
      bytes_ += step.kind == text::Utf8Kind::kCharacter ? step.length : text::kReplacement.size();
      ++characters_;
      incomplete_.erase(0, step.length);
    }
  }
}

std::vector<PlacedToken> AnswerTokens::take(std::size_t end_bytes) {
  std::vector<PlacedToken> taken;
  while (!waiting_.empty() && waiting_.front().begin_bytes < end_bytes) {
    taken.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return taken;
}

std::string openai_token_text(const text::Tokenizer& tokenizer, std::int32_t token) {
  const std::string_view bytes = bytes_of(tokenizer, token);
  if (text::valid_utf8_prefix(bytes) == bytes.size()) return std::string(bytes);
  std::string escaped;
  for (const char byte : bytes)
    fmt::format_to(std::back_inserter(escaped), "\\x{:02x}", static_cast<unsigned char>(byte));
  return escaped;
}

std::string openai_logprobs(OpenAiKind kind, const text::Tokenizer& tokenizer,
                            std::span<const PlacedToken> tokens) {
  return kind == OpenAiKind::kChat ? chat_logprobs(tokenizer, tokens)
                                   : completion_logprobs(tokenizer, tokens);
}

}  // namespace pagoda::serve

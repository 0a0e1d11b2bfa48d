#pragma once
// One accepted request on its way: from tokens to text, and when to stop. Lives on the engine thread.

#include <optional>

#include "engine/request.h"
#include "text/detokenizer.h"

namespace pagoda::engine {

class Stream {
 public:
  // `tokenizer` and `model_stop_ids` must outlive it.
  Stream(RequestId id, Request request, Sink sink, const text::Tokenizer& tokenizer,
         const std::vector<text::TokenId>& model_stop_ids);

  const Request& request() const { return request_; }
  void set_cached_tokens(std::int32_t tokens) { usage_.cached_tokens = tokens; }

  // Takes the next token and passes its text on. The reason if it was the last.
  std::optional<FinishReason> accept(execute::SampledToken token);
  // Ends the answer from outside: cancelled or failed.
  void end(FinishReason reason, const std::string& error);
  const Usage& usage() const { return usage_; }

 private:
  bool is_stop_id(text::TokenId token) const;
  void emit(std::string text, std::vector<execute::SampledToken> tokens, std::optional<FinishReason> finish,
            const std::string& error);

  RequestId id_;
  Request request_;
  Sink sink_;
  const std::vector<text::TokenId>& model_stop_ids_;
  text::Detokenizer detokenizer_;
  Usage usage_;
};

}  // namespace pagoda::engine

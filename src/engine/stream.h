#pragma once
// One accepted request on its way: from tokens to text, and when to stop. Lives on the engine thread.

#include "engine/request.h"
#include "text/detokenizer.h"

namespace pagoda::engine {

class Stream {
 public:
  // `tokenizer` and `model_stop_ids` must outlive it.
  Stream(RequestId id, Request request, Sink sink, const text::Tokenizer& tokenizer,
         const std::vector<text::TokenId>& model_stop_ids);

  const Request& request() const { return request_; }
  void submitted(Times::Point when) { times_.submitted = when; }
  // Called for each step; the first call counts.
  void scheduled(Times::Point when) {
    if (times_.scheduled == Times::Point()) times_.scheduled = when;
  }
  void set_cached_tokens(std::int32_t tokens) { usage_.cached_tokens = tokens; }

  // Takes the next token: the piece of answer that it makes, the last one if `finish` is set in it.
  Delta accept(execute::SampledToken token, Times::Point now);
  // The last piece when the answer is ended from outside: cancelled or failed.
  Delta end(FinishReason reason, std::string error);
  void emit(const Delta& delta) const { sink_(delta); }

 private:
  bool is_stop_id(text::TokenId token) const;

  RequestId id_;
  Request request_;
  Sink sink_;
  const std::vector<text::TokenId>& model_stop_ids_;
  text::Detokenizer detokenizer_;
  Usage usage_;
  Times times_;
};

}  // namespace pagoda::engine

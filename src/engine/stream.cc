#include "engine/stream.h"

#include <algorithm>

namespace pagoda::engine {

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "error";
}

Stream::Stream(RequestId id, Request request, Sink sink, const text::Tokenizer& tokenizer,
               const std::vector<text::TokenId>& model_stop_ids)
    : id_(id),
      request_(std::move(request)),
      sink_(std::move(sink)),
      model_stop_ids_(model_stop_ids),
      detokenizer_(tokenizer, request_.stop, request_.include_stop) {
  usage_.prompt_tokens = static_cast<std::int32_t>(request_.prompt.size());
}

bool Stream::is_stop_id(text::TokenId token) const {
  const auto contains = [token](const std::vector<text::TokenId>& ids) {
    return std::find(ids.begin(), ids.end(), token) != ids.end();
  };
  return contains(request_.stop_token_ids) || (!request_.ignore_eos && contains(model_stop_ids_));
}

Delta Stream::accept(execute::SampledToken token, Times::Point now) {
  ++usage_.completion_tokens;
  times_.last_token = now;
  if (usage_.completion_tokens == 1) times_.first_token = now;
  const text::TokenId id(token.token);
  Delta delta;
  delta.id = id_;
  if (is_stop_id(id)) {
    delta.finish = FinishReason::kStop;
  } else {
    delta.text = detokenizer_.push(id);
    if (detokenizer_.stopped())
      delta.finish = FinishReason::kStop;
    else if (usage_.completion_tokens >= request_.max_tokens)
      delta.finish = FinishReason::kLength;
  }
  if (delta.finish) delta.text += detokenizer_.finish();
  delta.tokens.push_back(std::move(token));
  delta.usage = usage_;
  delta.times = times_;
  return delta;
}

Delta Stream::end(FinishReason reason, std::string error) {
  Delta delta;
  delta.id = id_;
  delta.text = detokenizer_.finish();
  delta.finish = reason;
  delta.error = std::move(error);
  delta.usage = usage_;
  delta.times = times_;
  return delta;
}

}  // namespace pagoda::engine

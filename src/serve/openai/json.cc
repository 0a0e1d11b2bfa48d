#include "serve/openai/json.h"

#include <fmt/format.h>

#include <iterator>

#include "serve/http/sse.h"
#include "serve/json_text.h"

namespace pagoda::serve {
namespace {

const char* object_name(OpenAiKind kind, bool stream) {
  if (kind == OpenAiKind::kCompletion) return "text_completion";
  return stream ? "chat.completion.chunk" : "chat.completion";
}

// {"id":...,"choices":[
std::string head_json(const OpenAiHead& head, bool stream) {
  const std::string id = (head.kind == OpenAiKind::kChat ? "chatcmpl-" : "cmpl-") + head.id;
  return fmt::format(R"({{"id":{},"object":"{}","created":{},"model":{},"system_fingerprint":{},"choices":[)",
                     json_string(id), object_name(head.kind, stream), head.created_unix_seconds,
                     json_string(head.model), json_string("pagoda-" + head.version));
}

}  // namespace

std::string openai_usage_json(const engine::Usage& usage) {
  return fmt::format(R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
                     R"("prompt_tokens_details":{{"cached_tokens":{}}}}})",
                     usage.prompt_tokens, usage.completion_tokens,
                     usage.prompt_tokens + usage.completion_tokens, usage.cached_tokens);
}

std::string openai_answer_json(const OpenAiHead& head, const std::vector<OpenAiChoice>& choices,
                               const engine::Usage& usage) {
  std::string out = head_json(head, /*stream=*/false);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const OpenAiChoice& choice = choices[i];
    const bool chat = head.kind == OpenAiKind::kChat;
    fmt::format_to(std::back_inserter(out), R"({}{{"index":{},)", i > 0 ? "," : "", i);
    out += chat ? R"("message":{"role":"assistant","content":)" : R"("text":)";
    append_json_string(out, choice.text);
    if (chat) out += R"(,"refusal":null})";
    fmt::format_to(std::back_inserter(out), R"(,"logprobs":{},"finish_reason":"{}"}})", choice.logprobs,
                   engine::finish_reason_name(choice.finish));
  }
  out += R"(],"usage":)";
  out += openai_usage_json(usage);
  out += '}';
  return out;
}

OpenAiEvents::OpenAiEvents(const OpenAiHead& head, bool include_usage)
    : kind_(head.kind), include_usage_(include_usage), head_("data: " + head_json(head, /*stream=*/true)) {
  // A client that wants the usage finds the field in every piece.
  end_text_ = include_usage ? R"(,"finish_reason":null}],"usage":null})"
                              "\n\n"
                            : R"(,"finish_reason":null}]})"
                              "\n\n";
}

void OpenAiEvents::begin(std::size_t index, std::string& out) const {
  if (kind_ == OpenAiKind::kCompletion) return;
  out += head_;
  fmt::format_to(std::back_inserter(out),
                 R"({{"index":{},"delta":{{"role":"assistant","content":""}},"logprobs":null)", index);
  out += end_text_;
}

void OpenAiEvents::text(std::size_t index, std::string_view text, std::string_view logprobs,
                        std::string& out) const {
  // One allocation for most pieces; escapes may need another.
  out.reserve(out.size() + head_.size() + text.size() + logprobs.size() + end_text_.size() + 64);
  out += head_;
  fmt::format_to(std::back_inserter(out), R"({{"index":{},)", index);
  out += kind_ == OpenAiKind::kChat ? R"("delta":{"content":)" : R"("text":)";
  append_json_string(out, text);
  if (kind_ == OpenAiKind::kChat) out += '}';
  out += R"(,"logprobs":)";
  out += logprobs;
  out += end_text_;
}

void OpenAiEvents::finish(std::size_t index, engine::FinishReason reason, std::string& out) const {
  out += head_;
  fmt::format_to(std::back_inserter(out),
                 R"({{"index":{},{},"logprobs":null,"finish_reason":"{}"}}]{}}})"
                 "\n\n",
                 index, kind_ == OpenAiKind::kChat ? R"("delta":{})" : R"("text":"")",
                 engine::finish_reason_name(reason), include_usage_ ? R"(,"usage":null)" : "");
}

void OpenAiEvents::end(const engine::Usage& usage, std::string& out) const {
  if (include_usage_) {
    out += head_;
    out += R"(],"usage":)";
    out += openai_usage_json(usage);
    out += "}\n\n";
  }
  out += sse_done();
}

}  // namespace pagoda::serve

#pragma once
// Answers as OpenAI's clients read them, whole and as pieces of a stream. What is the same in all pieces of a
// stream is written once. Pure but for the writer's memory; one thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "serve/openai/request.h"

namespace pagoda::serve {

// What stands in every object of one answer.
struct OpenAiHead {
  OpenAiKind kind = OpenAiKind::kChat;
  std::string id;  // of the HTTP request
  std::int64_t created_unix_seconds = 0;
  std::string model;
  std::string version;  // of the server
};

struct OpenAiChoice {
  std::string text;
  std::string logprobs = "null";  // JSON
  engine::FinishReason finish = engine::FinishReason::kStop;
};

std::string openai_usage_json(const engine::Usage& usage);
// The whole answer.
std::string openai_answer_json(const OpenAiHead& head, const std::vector<OpenAiChoice>& choices,
                               const engine::Usage& usage);

// Appends events of a stream.
class OpenAiEvents {
 public:
  OpenAiEvents(const OpenAiHead& head, bool include_usage);

  // The first piece of a choice of a chat; nothing in completions, which have none.
  void begin(std::size_t index, std::string& out) const;
  // `logprobs`: JSON.
  void text(std::size_t index, std::string_view text, std::string_view logprobs, std::string& out) const;
  void finish(std::size_t index, engine::FinishReason reason, std::string& out) const;
  // The end of the stream: what was used, if that was asked for, and [DONE].
  void end(const engine::Usage& usage, std::string& out) const;

 private:
  OpenAiKind kind_;
  bool include_usage_;
  std::string head_;           // data: {"id":..."choices":[
  std::string_view end_text_;  // behind a piece of text's logprobs
};

}  // namespace pagoda::serve

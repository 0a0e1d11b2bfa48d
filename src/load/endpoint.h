#pragma once
// What is sent to a server and what its answers mean, for each API that can be put under load. Pure
// functions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::load {

enum class Endpoint {
  kGenerate,     // POST /generate, streamed
  kCompletions,  // POST /v1/completions, streamed
  kChat,         // POST /v1/chat/completions, streamed
  kTranslate,    // POST /translate of LibreTranslate; one answer, which names no tokens
};

base::Result<Endpoint> parse_endpoint(std::string_view name);
const char* endpoint_name(Endpoint endpoint);
const char* endpoint_path(Endpoint endpoint);
inline bool is_streamed(Endpoint endpoint) { return endpoint != Endpoint::kTranslate; }
inline bool is_openai(Endpoint endpoint) {
  return endpoint == Endpoint::kCompletions || endpoint == Endpoint::kChat;
}

struct Prompt {
  std::string text;
  std::int32_t max_tokens = 0;  // of the answer; 0: not sent
};

// What all requests of a run share.
struct RequestShape {
  Endpoint endpoint = Endpoint::kGenerate;
  std::string model;              // OpenAI only
  std::string api_key;            // empty: none
  std::string from = "auto", to;  // kTranslate
  bool ignore_eos = false;
};

// The JSON body. Decoding is greedy.
std::string request_body(const RequestShape& shape, const Prompt& prompt);

struct TokenCounts {
  std::int64_t prompt = 0, completion = 0;
};

// One event of a stream.
struct Piece {
  bool has_text = false;
  bool is_last = false;  // it has a finish reason
  std::optional<TokenCounts> usage;
};

// kInternal with the server's sentence if the event reports an error; kDataLoss if it is no JSON object.
base::Result<Piece> read_piece(Endpoint endpoint, std::string_view data);

// The whole answer of an endpoint that is not streamed: ok, or what is wrong with it.
base::Status check_answer(Endpoint endpoint, std::string_view body);

// The sentence in a failure's body: {"error":{"message":"..."}}, {"error":"..."}, or its beginning.
std::string error_sentence(std::string_view body);

// The first id in the answer of GET /v1/models.
base::Result<std::string> first_model(std::string_view body);

}  // namespace pagoda::load

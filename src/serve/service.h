#pragma once
// What every dialect works with: the engine, and how this server is set up. Built before the first request
// and unchanged after; handlers on any thread read it.

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/engine.h"
#include "serve/http/access_keys.h"
#include "serve/http/drain_gate.h"
#include "serve/http/metrics.h"
#include "translate/prompts.h"
#include "translate/sampling.h"
#include "translate/translator.h"

namespace pagoda::serve {

struct ServiceLimits {
  std::size_t max_texts = 1024;                     // in one request
  std::size_t max_text_bytes = 1u << 20;            // of all texts of one request
  std::chrono::milliseconds ping_interval{15'000};  // of an answer that streams and has nothing to say
};

struct Service {
  engine::Engine& engine;
  const translate::Translator& translator;  // its options have the sampling of requests that say nothing
  Metrics& metrics;
  const AccessKeys& keys;
  DrainGate& gate;
  std::string model_name;
  std::string version;
  std::int64_t created_unix_seconds = 0;  // when the model was loaded
  ServiceLimits limits;
  bool translate_chat = false;  // the last message of a chat is a text to translate
  bool keep_texts = false;      // --log-text
};

}  // namespace pagoda::serve

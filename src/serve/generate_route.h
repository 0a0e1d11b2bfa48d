#pragma once
// POST /generate, the native dialect: one prompt in, one text out (docs/api.md).

#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/generate.h"
#include "serve/router.h"

namespace pagoda::serve {

// The body of the request as it was meant. Sampling fields that are not given are greedy.
struct GenerateRequest {
  std::string prompt;
  bool raw = false;  // no chat template, and special tokens in `prompt` are recognised
  engine::Request request;
};
base::Result<GenerateRequest> parse_generate(std::string_view body);
std::string generate_json(const engine::Completion& completion, double seconds);

// `engine` must outlive the router.
void add_generate_route(Router& router, engine::Engine& engine);

}  // namespace pagoda::serve

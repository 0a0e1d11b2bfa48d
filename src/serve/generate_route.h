#pragma once
// POST /generate, the native dialect: one prompt in, one text out, whole or as it grows (docs/api.md).

#include <string>
#include <string_view>

#include "engine/generate.h"
#include "serve/http/router.h"
#include "serve/service.h"

namespace pagoda::serve {

// The body of the request as it was meant. Sampling fields that are not given are greedy.
struct GenerateRequest {
  std::string prompt;
  bool raw = false;  // no chat template, and special tokens in `prompt` are recognised
  bool stream = false;
  engine::Request request;
};
base::Result<GenerateRequest> parse_generate(std::string_view body);
std::string generate_json(const engine::Completion& completion, double seconds);

// `service` must outlive the router.
void add_generate_route(Router& router, Service& service);

}  // namespace pagoda::serve

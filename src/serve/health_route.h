#pragma once
// GET /health: 200 while requests are taken, with the engine's load. While the server drains it is 503, as
// all routes.

#include <string>

#include "engine/engine.h"
#include "serve/router.h"

namespace pagoda::serve {

// `engine` must outlive the router. `model` is the name that clients see.
void add_health_route(Router& router, const engine::Engine& engine, const std::string& model);

}  // namespace pagoda::serve

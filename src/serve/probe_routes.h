#pragma once
// What machines ask about the server: is it alive, is it ready, what does it hold, what has it counted
// (docs/metrics.md).

#include <chrono>
#include <functional>
#include <string>

#include "serve/http/metrics.h"
#include "serve/http/router.h"
#include "serve/service.h"

namespace pagoda::serve {

// The routes while a model loads: probes that say so, 503 for everything else.
void add_loading_routes(Router& router, const std::string& version);

// /livez /readyz /health /version /stats /metrics. `connections` counts those of the server; it and `service`
// outlive the router.
void add_probe_routes(Router& router, Service& service, std::function<Metrics::Connections()> connections);

}  // namespace pagoda::serve

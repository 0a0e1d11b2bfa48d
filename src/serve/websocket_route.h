#pragma once
// GET /ws: translations over one WebSocket, several at once, each a stream (docs/api.md has the messages).

#include "serve/http/router.h"
#include "serve/service.h"

namespace pagoda::serve {

// `service` must outlive the router.
void add_websocket_route(Router& router, Service& service);

}  // namespace pagoda::serve

#pragma once
// All translation dialects of others, at once (docs/api-dialects.md).

#include "serve/client_data.h"
#include "serve/router.h"
#include "serve/service.h"

namespace pagoda::serve {

// `service` and `data` must outlive the router.
void add_dialect_routes(Router& router, Service& service, ClientData& data);

}  // namespace pagoda::serve

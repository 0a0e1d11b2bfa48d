#pragma once
// All translation dialects of others, at once (docs/api-dialects.md).

#include "serve/http/router.h"
#include "serve/service.h"
#include "serve/storage/client_data.h"

namespace pagoda::serve {

// `service` and `data` must outlive the router.
void add_dialect_routes(Router& router, Service& service, ClientData& data);

}  // namespace pagoda::serve

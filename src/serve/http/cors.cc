#include "serve/http/cors.h"

#include <algorithm>

namespace pagoda::serve {

CorsPolicy::CorsPolicy(std::vector<std::string> origins)
    : origins_(std::move(origins)),
      all_(std::find(origins_.begin(), origins_.end(), "*") != origins_.end()) {}

bool CorsPolicy::allows(std::string_view origin) const {
  return all_ || origin.empty() || std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

void CorsPolicy::add_headers(const HttpRequest& request, HttpResponse& response) const {
  const std::string_view origin = request.header("Origin");
  if (all_) {
    response.headers.emplace_back("Access-Control-Allow-Origin", "*");
  } else {
    response.headers.emplace_back("Vary", "Origin");
    if (!origin.empty() && allows(origin))
      response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  }
  response.headers.emplace_back("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
}

HttpResponse CorsPolicy::preflight(const HttpRequest& request, std::string_view methods) const {
  HttpResponse response;
  response.status = 204;
  response.content_type.clear();
  response.headers.emplace_back("Allow", methods);
  if (!allows(request.header("Origin"))) return response;
  response.headers.emplace_back("Access-Control-Allow-Methods", methods);
  const std::string_view wanted = request.header("Access-Control-Request-Headers");
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                wanted.empty() ? "Authorization, Content-Type" : std::string(wanted));
  response.headers.emplace_back("Access-Control-Max-Age", "86400");
  if (request.header("Access-Control-Request-Private-Network") == "true")
    response.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  return response;
}

}  // namespace pagoda::serve

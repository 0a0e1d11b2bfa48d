#pragma once
// A request and its answer as plain values, so that a dialect needs to know nothing of sockets.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pagoda::serve {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // "/generate", as sent (percent-encoding kept)
  std::string query;   // behind the '?', without it
  HttpHeaders headers;
  std::string body;

  // The first of that name, whatever its case; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
};

}  // namespace pagoda::serve

#pragma once
// Which pages of other sites a browser lets talk to the server. Immutable; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "serve/http/http_message.h"

namespace pagoda::serve {

class CorsPolicy {
 public:
  // Origins like "https://example.org"; "*" among them: all.
  explicit CorsPolicy(std::vector<std::string> origins);
  CorsPolicy() : CorsPolicy(std::vector<std::string>{"*"}) {}

  // No Origin (not a browser, or the server's own page) is allowed.
  bool allows(std::string_view origin) const;
  // What each answer says of it.
  void add_headers(const HttpRequest& request, HttpResponse& response) const;
  // The answer to OPTIONS, by which a browser asks before it sends; `methods` as in Allow. A browser asks
  // extra before a public page talks to a private address.
  HttpResponse preflight(const HttpRequest& request, std::string_view methods) const;

 private:
  std::vector<std::string> origins_;
  bool all_ = false;
};

}  // namespace pagoda::serve

#pragma once
// One line of JSON a request on a stream, for those that are sampled. Texts are written only where that was
// asked for. Any thread.

#include <cstdio>
#include <random>
#include <string>
#include <string_view>

#include "serve/http/http_message.h"

namespace pagoda::serve {

struct RequestLogOptions {
  double sample = 0;  // share of the requests that are written; those that failed with 500 always are
  bool texts = false;
  std::FILE* stream = stderr;
};

class RequestLog {
 public:
  explicit RequestLog(const RequestLogOptions& options) : options_(options) {}

  void answered(const HttpRequest& request, std::string_view route, int status, double seconds) const;
  // What answered() writes.
  std::string line(const HttpRequest& request, std::string_view route, int status, double seconds) const;

 private:
  RequestLogOptions options_;
};

}  // namespace pagoda::serve

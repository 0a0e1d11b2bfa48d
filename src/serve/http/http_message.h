#pragma once
// A request and its answer as plain values, so that a dialect needs to know nothing of sockets.

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pagoda::serve {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// What the log says of a request beyond its HTTP part. Filled by whoever talks to the engine for it, on the
// connection's strand.
struct Trace {
  std::int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
  std::uint64_t client = 0;   // whose key was in the body, where it is not in HttpRequest::client
  std::string finish;         // of the last answer
  std::string input, output;  // texts; written to the log only where --log-text asks for it
};

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // "/generate", as sent (percent-encoding kept)
  std::string query;   // behind the '?', without it
  HttpHeaders headers;
  std::string body;

  // Filled by the front door before a handler sees the request.
  std::string id;            // X-Request-Id: the client's, or a fresh one
  HttpHeaders path_parts;    // what the {name}s of the route's path stand for, percent-decoded
  std::uint64_t client = 0;  // which key was presented; 0: none. Prefixes are shared within a client alone
  std::shared_ptr<Trace> trace = std::make_shared<Trace>();

  // The first of that name, whatever its case; empty if there is none.
  std::string_view header(std::string_view name) const;
  // The part of the path that the route calls {name}; empty if there is none.
  std::string_view path_part(std::string_view name) const;
};

// Where a body that is made while it is sent goes.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  // One piece; returns when the system has taken it, so a slow client slows its own answer and nothing else.
  // False: the client is gone or the server must stop, further pieces go nowhere.
  virtual boost::asio::awaitable<bool> write(std::string bytes) = 0;
};
// Writes the whole body. Like a handler it is cancelled when the client leaves, and runs on the connection's
// strand; it may use the request.
using BodyStream = std::function<boost::asio::awaitable<void>(BodyWriter&)>;

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
  BodyStream stream;  // if there is one it makes the body, and `body` is not used
};

}  // namespace pagoda::serve

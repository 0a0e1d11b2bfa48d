#pragma once
// Which handler answers which method and path. A dialect is a function that adds its routes. Filled before
// the server starts, unchanged afterwards: any thread may look up.

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/errors.h"
#include "serve/http/http_message.h"
#include "serve/http/message_socket.h"

namespace pagoda::serve {

// Runs on the connection's strand. The request lives until the handler has ended. When the client leaves or
// the server must stop, the coroutine is cancelled (terminal cancellation, not thrown: see EngineCalls); what
// it returns then is seen by nobody.
using Handler = std::function<boost::asio::awaitable<HttpResponse>(const HttpRequest&)>;
// The same for a WebSocket; the connection ends when it returns.
using SocketHandler = std::function<boost::asio::awaitable<void>(const HttpRequest&, MessageSocket&)>;

enum class Access {
  kKey,   // a key in header or query, if the server has keys
  kBody,  // as kKey; without one the handler is asked, which looks for it in the body (AccessKeys::admit)
  kOpen,  // everybody: probes, the page
};

struct Route {
  Handler handler{};
  Access access = Access::kKey;
  ErrorShape error = &error_response;  // how the dialect writes what the front door refuses
  bool while_draining = false;         // also answered while the server drains; the others get 503 then
  SocketHandler socket{};              // instead of `handler`, for GET with Upgrade: websocket
};

class Router {
 public:
  // "/v2/glossaries/{id}" matches one part of a path that is not empty; a path without {} is preferred. One
  // method and path must not be added twice.
  void add(std::string method, std::string path, Route route);

  struct Match {
    const Route* route = nullptr;  // null: nobody answers this
    std::string pattern;           // of the route, as it was added; for metrics and logs
    HttpHeaders path_parts;
    std::string allow;  // with a null route: the methods of the path, empty if the path is unknown
  };
  // HEAD is answered by the route of GET.
  Match find(std::string_view method, std::string_view path) const;

  // Paths that are not here may be later: they are 503 with this message, not 404.
  void set_unavailable(std::string message) { unavailable_ = std::move(message); }
  const std::string& unavailable() const { return unavailable_; }

  // Every "METHOD /path" that was added, sorted.
  std::vector<std::string> routes() const;

 private:
  using Methods = std::map<std::string, Route, std::less<>>;
  std::map<std::string, Methods, std::less<>> paths_;
  std::string unavailable_;
};

}  // namespace pagoda::serve

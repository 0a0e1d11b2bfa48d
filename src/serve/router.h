#pragma once
// Which handler answers which method and path. A dialect is a function that adds its routes. Filled before
// the server starts, unchanged afterwards: any thread may look up.

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "serve/http_message.h"

namespace pagoda::serve {

// Runs on the connection's strand. The request lives until the handler has ended. When the client leaves or
// the server must stop, the coroutine is cancelled (terminal cancellation); what it returns then is seen by
// nobody, but it must not end before what it started elsewhere has.
using Handler = std::function<boost::asio::awaitable<HttpResponse>(const HttpRequest&)>;

struct Route {
  Handler handler;
  bool while_draining = false;  // also answered while the server drains; the others get 503 then
};

class Router {
 public:
  // One method and path must not be added twice.
  void add(std::string method, std::string path, Route route);

  struct Match {
    const Route* route = nullptr;  // null: nobody answers this
    std::string allow;             // with a null route: the methods of the path, empty if the path is unknown
  };
  // HEAD is answered by the route of GET.
  Match find(std::string_view method, std::string_view path) const;

 private:
  std::map<std::string, std::map<std::string, Route, std::less<>>, std::less<>> paths_;
};

}  // namespace pagoda::serve

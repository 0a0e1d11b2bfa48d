#include "serve/router.h"

#include <boost/beast/core/string.hpp>

#include "base/check.h"

namespace pagoda::serve {

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (boost::beast::iequals({key.data(), key.size()}, {name.data(), name.size()})) return value;
  return {};
}

void Router::add(std::string method, std::string path, Route route) {
  CHECK(paths_[std::move(path)].emplace(std::move(method), std::move(route)).second);
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  Match match;
  const auto methods = paths_.find(path);
  if (methods == paths_.end()) return match;
  const auto route = methods->second.find(method == "HEAD" ? "GET" : method);
  if (route != methods->second.end()) {
    match.route = &route->second;
    return match;
  }
  for (const auto& [name, unused] : methods->second) {
    match.allow += (match.allow.empty() ? "" : ", ") + name;
    if (name == "GET") match.allow += ", HEAD";
  }
  return match;
}

}  // namespace pagoda::serve

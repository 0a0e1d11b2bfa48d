#include "serve/http/router.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>

#include "base/check.h"
#include "serve/http/query.h"

namespace pagoda::serve {
namespace {

std::string_view value_of(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (boost::beast::iequals({key.data(), key.size()}, {name.data(), name.size()})) return value;
  return {};
}

std::string_view take_part(std::string_view& path) {
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view part = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return part;
}

bool matches(std::string_view pattern, std::string_view path, HttpHeaders& parts) {
  if (std::count(pattern.begin(), pattern.end(), '/') != std::count(path.begin(), path.end(), '/'))
    return false;
  parts.clear();
  while (!pattern.empty() || !path.empty()) {
    const std::string_view expected = take_part(pattern), part = take_part(path);
    if (expected.starts_with('{')) {
      if (part.empty()) return false;
      parts.emplace_back(expected.substr(1, expected.size() - 2), percent_decode(part));
    } else if (expected != part) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const { return value_of(headers, name); }
std::string_view HttpRequest::path_part(std::string_view name) const { return value_of(path_parts, name); }

void Router::add(std::string method, std::string path, Route route) {
  CHECK(paths_[std::move(path)].emplace(std::move(method), std::move(route)).second);
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  Match match;
  auto found = paths_.find(path);
  if (found == paths_.end() || found->first.find('{') != std::string::npos)
    for (found = paths_.begin(); found != paths_.end(); ++found)
      if (found->first.find('{') != std::string::npos && matches(found->first, path, match.path_parts)) break;
  if (found == paths_.end()) return match;
  match.pattern = found->first;
  const Methods& methods = found->second;
  const auto route = methods.find(method == "HEAD" ? "GET" : method);
  if (route != methods.end()) {
    match.route = &route->second;
    return match;
  }
  for (const auto& [name, unused] : methods) {
    match.allow += (match.allow.empty() ? "" : ", ") + name;
    if (name == "GET") match.allow += ", HEAD";
  }
  return match;
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> routes;
  for (const auto& [path, methods] : paths_)
    for (const auto& [method, unused] : methods) routes.push_back(method + " " + path);
  return routes;
}

}  // namespace pagoda::serve

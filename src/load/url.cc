#include "load/url.h"

#include <algorithm>
#include <charconv>

namespace pagoda::load {
namespace {

bool is_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

// Spaces and control bytes would break the request's lines.
bool is_clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c >= 0 && (c <= ' ' || c == 0x7f); });
}

}  // namespace

std::string Url::authority() const {
  return host.find(':') == std::string::npos ? host + ":" + port : "[" + host + "]:" + port;
}

base::Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  const std::string whole(text);
  if (text.starts_with("https://"))
    return base::invalid("https is not supported, give the server's http:// address instead of {}", whole);
  if (!text.starts_with(kScheme))
    return base::invalid("the address is {}, it must begin with http://", whole);
  if (!is_clean(text)) return base::invalid("the address {} holds a space or a control byte", whole);
  text.remove_prefix(kScheme.size());
  if (text.find_first_of("?#@") != std::string_view::npos)
    return base::invalid("the address {} holds more than host, port and path", whole);
  Url url;
  const std::size_t slash = std::min(text.find('/'), text.size());
  url.path = text.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();
  std::string_view authority = text.substr(0, slash);
  const bool bracketed = authority.starts_with('[');
  const std::size_t end = authority.find(bracketed ? ']' : ':');
  if (bracketed && end == std::string_view::npos)
    return base::invalid("the address {} has a [ without its ]", whole);
  url.host = bracketed ? authority.substr(1, end - 1) : authority.substr(0, end);
  authority.remove_prefix(std::min(bracketed ? end + 1 : end, authority.size()));
  if (url.host.empty()) return base::invalid("the address {} names no host", whole);
  if (!authority.empty()) {
    url.port = authority.substr(1);
    if (authority.front() != ':' || !is_port(url.port)) return base::invalid("the port in {} is none", whole);
  }
  return url;
}

}  // namespace pagoda::load

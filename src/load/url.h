#pragma once
// Where the server is. Pure function.

#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::load {

struct Url {
  std::string host;  // a name or an address, without the brackets of IPv6
  std::string port = "80";
  std::string path;  // before the endpoint's own path, without a slash at its end
  // For the Host field: "127.0.0.1:8080", "[::1]:8080".
  std::string authority() const;
};

// "http://host[:port][/path]". kInvalidArgument for everything else; https is named as what is missing.
base::Result<Url> parse_url(std::string_view text);

}  // namespace pagoda::load

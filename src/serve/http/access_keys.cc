#include "serve/http/access_keys.h"

#include <algorithm>
#include <array>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <fstream>

#include "serve/http/query.h"

namespace pagoda::serve {
namespace {

// All of both buffers is read, whatever they hold.
bool equal(std::string_view a, std::string_view b) {
  std::array<unsigned char, AccessKeys::kMaxKeyBytes> left{}, right{};
  std::copy_n(a.begin(), std::min(a.size(), left.size()), left.begin());
  std::copy_n(b.begin(), std::min(b.size(), right.size()), right.begin());
  unsigned difference = a.size() != b.size();
  for (std::size_t i = 0; i < left.size(); ++i) difference |= static_cast<unsigned>(left[i] ^ right[i]);
  return difference == 0;
}

}  // namespace

base::Result<AccessKeys> AccessKeys::make(std::vector<std::string> keys) {
  for (const std::string& key : keys) {
    if (key.empty()) return base::invalid("an API key is empty");
    if (key.size() > kMaxKeyBytes)
      return base::invalid("an API key has {} bytes, the limit is {}", key.size(), kMaxKeyBytes);
    if (std::any_of(key.begin(), key.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
      return base::invalid("an API key holds white space or control characters");
  }
  AccessKeys made;
  // Any namespace does, as long as it stays: data directories hold what comes out.
  const boost::uuids::name_generator_sha1 name(boost::uuids::ns::oid());
  for (const std::string& key : keys) made.fingerprints_.push_back(to_string(name("pagoda api key " + key)));
  made.keys_ = std::move(keys);
  return made;
}

base::Result<std::vector<std::string>> AccessKeys::read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return base::invalid("cannot read the file of keys {}", path);
  std::vector<std::string> keys;
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
      line.pop_back();
    if (!line.empty() && line[0] != '#') keys.push_back(line);
  }
  // An empty file would open the server to everybody, which nobody asks for by naming a file.
  if (keys.empty()) return base::invalid("the file of keys {} holds no key", path);
  return keys;
}

std::optional<std::uint64_t> AccessKeys::admit(std::string_view presented) const {
  if (keys_.empty()) return 0;
  std::optional<std::uint64_t> client;
  for (std::size_t i = 0; i < keys_.size(); ++i)
    if (equal(keys_[i], presented)) client = i + 1;
  return client;
}

std::string presented_key(const HttpRequest& request) {
  if (std::string_view value = request.header("Authorization"); !value.empty()) {
    const std::size_t space = value.find(' ');
    if (space != std::string_view::npos) value.remove_prefix(value.find_last_of(' ') + 1);
    return std::string(value);
  }
  for (const char* name : {"X-API-Key", "X-API-Token", "Api-Key"})
    if (const std::string_view value = request.header(name); !value.empty()) return std::string(value);
  for (const auto& [name, value] : parse_query(request.query))
    for (const char* known : {"token", "api_key", "api_token", "auth_key", "key"})
      if (name == known && !value.empty()) return value;
  return std::string(request.path_part("token"));
}

}  // namespace pagoda::serve

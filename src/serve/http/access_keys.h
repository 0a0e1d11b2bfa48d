#pragma once
// Who may use the server. Immutable after construction; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "serve/http/http_message.h"

namespace pagoda::serve {

class AccessKeys {
 public:
  static constexpr std::size_t kMaxKeyBytes = 256;

  AccessKeys() = default;  // no keys: everybody is let in
  // kInvalidArgument for an empty key, one that is too long, or one with white space or control characters.
  static base::Result<AccessKeys> make(std::vector<std::string> keys);
  // A file with one key a line; '#' begins a comment line.
  static base::Result<std::vector<std::string>> read_file(const std::string& path);

  bool open() const { return keys_.empty(); }
  // The client's number, from 1 (0 without keys); nothing for a key that is none of ours. Takes the same time
  // whatever is presented.
  std::optional<std::uint64_t> admit(std::string_view presented) const;
  // Names the key of a client in what is kept between runs: the same for the same key wherever it stands
  // among the others, and no way back to the key. "" for client 0.
  const std::string& fingerprint(std::uint64_t client) const { return fingerprints_.at(client); }

 private:
  std::vector<std::string> keys_;
  std::vector<std::string> fingerprints_{""};  // by client
};

// The key of a request, where clients of the dialects put it: Authorization ("Bearer k", "DeepL-Auth-Key k"
// or the key alone), X-API-Key, X-API-Token, Api-Key, the query's token, api_key, api_token, auth_key or key,
// or {token} in the path. Empty if there is none.
std::string presented_key(const HttpRequest& request);

}  // namespace pagoda::serve

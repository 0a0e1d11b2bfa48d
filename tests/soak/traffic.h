#pragma once
// Clients of every kind, polite and not, each on a thread of its own; and the account of what they sent and
// were answered, to be held against what the server counted.

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace pagoda::soak {

inline const std::string kKey = "soak-key";
inline constexpr std::size_t kMaxBodyBytes = 64u << 10;  // of the server

// What must be found in the server's counters. Any thread.
class Account {
 public:
  // A request that had this status, which is the only right one.
  void answered(int status);
  // One of them was of /generate; so many tokens were made for it.
  void generated(std::int64_t tokens);
  // A request of /generate whose client left: the server may have been faster.
  void left();
  // Something that must not happen.
  void wrong(const std::string& what);

  std::int64_t count(int status) const;
  std::int64_t abandoned() const;
  // Answers of /generate that were heard to their end, and the tokens that they told of.
  std::int64_t generations() const;
  std::int64_t tokens() const;
  std::int64_t total() const;  // of all that the server must have counted
  std::vector<std::string> mistakes() const;

 private:
  mutable std::mutex mutex_;
  std::map<int, std::int64_t> answered_;
  std::int64_t abandoned_ = 0, generations_ = 0, tokens_ = 0;
  std::vector<std::string> mistakes_;
};

// `clients` threads share `requests` turns of random kinds; the same seed makes the same kinds. Returns when
// all is answered.
void run_traffic(std::uint16_t port, int clients, int requests, std::uint32_t seed, Account& account);

}  // namespace pagoda::soak

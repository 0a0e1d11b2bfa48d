#include "cache/prefix_hash.h"

#include <random>

namespace pagoda::cache {
namespace {

std::uint64_t random_secret() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

// The finaliser of SplitMix64: every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

PrefixHash prefix_root(std::uint64_t salt) {
  static const std::uint64_t secret_high = random_secret(), secret_low = random_secret();
  return {mix(secret_high ^ salt), mix(secret_low + salt)};
}

PrefixHash prefix_extend(PrefixHash before, std::span<const std::int32_t> block_tokens) {
  PrefixHash hash = before;
  for (const std::int32_t token : block_tokens) {
    const std::uint64_t value = static_cast<std::uint32_t>(token) + 0x9e3779b97f4a7c15u;
    hash.high = mix(hash.high + value);
    hash.low = mix(hash.low ^ (value * 0xd6e8feb86659fd93u) ^ (hash.high >> 7));
  }
  return hash;
}

}  // namespace pagoda::cache

#pragma once
// Names for "these tokens after exactly those": the hash of a block chains the hash of the block before it,
// so equal hashes mean equal prefixes. 128 bits, keyed with a secret of the process and the salt of the
// request, so that nobody can aim for a collision, and tenants with different salts never share.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace pagoda::cache {

struct PrefixHash {
  std::uint64_t high = 0, low = 0;
  auto operator<=>(const PrefixHash&) const = default;
};

// The hash before the first block.
PrefixHash prefix_root(std::uint64_t salt);
PrefixHash prefix_extend(PrefixHash before, std::span<const std::int32_t> block_tokens);

}  // namespace pagoda::cache

template <>
struct std::hash<pagoda::cache::PrefixHash> {
  std::size_t operator()(const pagoda::cache::PrefixHash& hash) const noexcept { return hash.low; }
};

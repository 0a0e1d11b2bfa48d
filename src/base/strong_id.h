#pragma once
// Integers that cannot be mixed up: StrongId<struct BlockTag> and StrongId<struct SequenceTag> are different
// types.

#include <compare>
#include <cstdint>
#include <functional>

namespace pagoda::base {

template <typename Tag, typename Int = std::int32_t>
struct StrongId {
  Int value{};
  constexpr StrongId() = default;
  constexpr explicit StrongId(Int v) : value(v) {}
  constexpr auto operator<=>(const StrongId&) const = default;
};

}  // namespace pagoda::base

template <typename Tag, typename Int>
struct std::hash<pagoda::base::StrongId<Tag, Int>> {
  std::size_t operator()(pagoda::base::StrongId<Tag, Int> id) const noexcept {
    return std::hash<Int>()(id.value);
  }
};

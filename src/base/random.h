#pragma once
// Numbers that nobody can foresee: request ids, seeds of requests that name none. Any thread.

#include <cstdint>

namespace pagoda::base {

std::uint64_t random_u64();

}  // namespace pagoda::base

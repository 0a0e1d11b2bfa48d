#include "base/random.h"

#include <random>

namespace pagoda::base {

std::uint64_t random_u64() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seeds{device(), device(), device(), device()};
    return std::mt19937_64(seeds);
  }();
  return generator();
}

}  // namespace pagoda::base

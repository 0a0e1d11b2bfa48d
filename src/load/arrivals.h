#pragma once
// When requests arrive: a random process of a given rate, the same for the same seed. Pure function.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pagoda::load {

// Seconds from the start of the run, ascending. `requests_per_second` may be infinite: all at once. The gaps
// are gamma distributed with shape `burstiness`: 1 is a Poisson process, less is burstier, infinite is a
// metronome. The last request arrives at count / rate exactly, so that runs with different seeds offer the
// same load.
std::vector<double> arrival_seconds(std::size_t count, double requests_per_second, double burstiness,
                                    std::uint64_t seed);

}  // namespace pagoda::load

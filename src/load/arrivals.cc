#include "load/arrivals.h"

#include <cmath>
#include <random>

namespace pagoda::load {

std::vector<double> arrival_seconds(std::size_t count, double requests_per_second, double burstiness,
                                    std::uint64_t seed) {
  std::vector<double> arrivals(count, 0.0);
  if (count == 0 || std::isinf(requests_per_second)) return arrivals;
  const bool even = std::isinf(burstiness);
  std::mt19937_64 generator(seed);
  std::gamma_distribution<double> gap(even ? 1.0 : burstiness, 1.0);
  double time = 0;
  for (double& arrival : arrivals) {
    time += even ? 1.0 : gap(generator);
    arrival = time;
  }
  // Gaps so bursty that all of them vanish leave nothing to scale.
  if (time <= 0) return arrivals;
  const double scale = static_cast<double>(count) / requests_per_second / time;
  for (double& arrival : arrivals) arrival *= scale;
  return arrivals;
}

}  // namespace pagoda::load

#pragma once
// How one row of logits becomes a token. Plain data, read by the device.

#include <cstdint>

namespace pagoda::kernels {

struct SampleRow {
  float temperature = 0;  // 0: greedy
  float top_p = 1, min_p = 0, repetition_penalty = 1;
  std::int32_t top_k = 0;  // 1 to kMaxDeviceTopK unless greedy
  std::int32_t slot = 0;   // whose seen tokens are penalised, and where the token is left for the next step
  std::uint64_t seed = 0, position = 0;
};
inline constexpr std::int32_t kMaxDeviceTopK = 256;

}  // namespace pagoda::kernels

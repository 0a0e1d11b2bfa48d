#pragma once
// From logits to tokens, on the device; the meaning of each setting is that of execute/sampling.h.

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/sample_row.h"

namespace pagoda::kernels::cuda {

inline constexpr int kArgmaxParts = 16;

struct SampleView {
  float* logits = nullptr;  // [rows, vocab], overwritten
  std::int64_t stride = 0;
  int vocab = 0;
  const SampleRow* rows = nullptr;
  std::int32_t* sampled = nullptr;  // [slots]
  std::int32_t* out = nullptr;      // [rows]
  std::uint32_t* seen = nullptr;    // [slots, (vocab + 31) / 32]
  // Scratch: [rows, kArgmaxParts] of a value and a token, and a counter a row (zero before and after).
  float* part_values = nullptr;
  std::int32_t* part_tokens = nullptr;
  int* arrivals = nullptr;
};

void launch_sample(const Launcher& launch, const SampleView& view, int rows, bool all_greedy);
void launch_resolve(const Launcher& launch, std::int32_t* tokens, int count, const std::int32_t* sampled);
void launch_set_seen(const Launcher& launch, std::uint32_t* seen, int vocab, int slot,
                     const std::int32_t* tokens, int count);

}  // namespace pagoda::kernels::cuda

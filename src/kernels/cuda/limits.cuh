#pragma once
// Work whose speed is the device's limit, and a clock for it. One thread calls.

#include <cstddef>
#include <functional>

#include "kernels/cuda/check.cuh"

namespace pagoda::kernels::cuda {

// Seconds of the fastest of rounds - 1 runs, after one to warm up.
double time_best(cudaStream_t stream, int rounds, const std::function<void()>& work);
void fill_random(cudaStream_t stream, void* data, std::size_t bf16_values);
// Reads everything; `out` (4 bytes) is practically never written.
void read_bytes(cudaStream_t stream, const void* data, std::size_t bytes, void* out);

}  // namespace pagoda::kernels::cuda

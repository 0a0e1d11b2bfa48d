#pragma once
// What this machine can do at most, measured now: the floors that `pagoda bench` holds its rows against.

#include <cstddef>

#include "kernels/ops.h"

namespace pagoda::kernels {

struct CpuLimits {
  double read_bytes_per_second = 0;     // all threads streaming through memory larger than any cache
  double bf16_flops_per_second = 0;     // all threads multiplying panels that stay in L1
  double int8_ops_per_second = 0;
};

// Takes about a second, and 1 GiB of memory while it runs.
CpuLimits measure_cpu_limits(const CpuOptions& options);

}  // namespace pagoda::kernels

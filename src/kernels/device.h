#pragma once
// Which backend computes.

#include <memory>
#include <string>

#include "base/status.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/ops.h"

namespace pagoda::kernels {

struct DeviceOptions {
  std::string device = "auto";  // "cpu", "cuda", or "auto": the GPU if one can be used
  CpuOptions cpu;
  CudaOptions cuda;
};

// Whether make_ops() will choose the GPU. Makes nothing.
bool chooses_gpu(const DeviceOptions& options);

// kFailedPrecondition with the reason if "cuda" was asked for and cannot be had; with "auto" the CPU serves
// then.
base::Result<std::unique_ptr<Ops>> make_ops(const DeviceOptions& options);

}  // namespace pagoda::kernels

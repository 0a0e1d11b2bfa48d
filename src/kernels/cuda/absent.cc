// Stands for the CUDA backend in a program that was built without it.

#include "kernels/cuda/cuda_backend.h"

namespace pagoda::kernels {

base::Result<CudaDevice> find_cuda_device(int) {
  return base::error(base::Code::kFailedPrecondition, "this pagoda was built without CUDA");
}

base::Result<std::unique_ptr<CudaBackend>> make_cuda_ops(const CudaOptions&) {
  return base::error(base::Code::kFailedPrecondition, "this pagoda was built without CUDA");
}

}  // namespace pagoda::kernels

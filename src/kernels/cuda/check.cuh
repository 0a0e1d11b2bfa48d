#pragma once
// CUDA errors end the process (cuda_backend.h says why).

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

namespace pagoda::kernels::cuda {

inline void check(cudaError_t error, const char* what, const char* file, int line) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "pagoda: the GPU failed: %s (%s, %s:%d)\n", cudaGetErrorString(error), what, file,
               line);
  std::fflush(stderr);
  std::_Exit(70);
}

}  // namespace pagoda::kernels::cuda

#define CUDA_CHECK(call) ::pagoda::kernels::cuda::check((call), #call, __FILE__, __LINE__)

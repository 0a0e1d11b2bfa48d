#include "kernels/cuda/linear_wide.cuh"
#include "kernels/cuda/wide_launch.cuh"

namespace pagoda::kernels::cuda {

void launch_wide_int8(const Launcher& launch, const WideArgs& args) {
  launch_wide_step<WideInt8>(launch, args);
}

}  // namespace pagoda::kernels::cuda

#include "kernels/cuda/linear_wide.cuh"
#include "kernels/cuda/wide_launch.cuh"

namespace pagoda::kernels::cuda {

void launch_wide_bf16(const Launcher& launch, const WideArgs& args) {
  launch_wide_step<WideBf16>(launch, args);
}

}  // namespace pagoda::kernels::cuda

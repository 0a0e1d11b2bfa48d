#include "kernels/cuda/linear.cuh"

namespace pagoda::kernels::cuda {

void launch_linear_bf16(const Launcher& launch, const LinearArgs& args) {
  launch_linear_shapes<Bf16Format>(launch, args);
}

}  // namespace pagoda::kernels::cuda

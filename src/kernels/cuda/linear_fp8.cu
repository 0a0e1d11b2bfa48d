#include "kernels/cuda/linear.cuh"

namespace pagoda::kernels::cuda {

void launch_linear_fp8(const Launcher& launch, const LinearArgs& args) {
  launch_linear_shapes<Fp8Format>(launch, args);
}

}  // namespace pagoda::kernels::cuda

#include "kernels/cuda/linear.cuh"

namespace pagoda::kernels::cuda {

void launch_linear_int8(const Launcher& launch, const LinearArgs& args) {
  launch_linear_shapes<Int8Format>(launch, args);
}

}  // namespace pagoda::kernels::cuda

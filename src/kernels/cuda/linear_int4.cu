#include "kernels/cuda/linear.cuh"

namespace pagoda::kernels::cuda {

void launch_linear_int4(const Launcher& launch, const LinearArgs& args) {
  launch_linear_shapes<Int4Format<4, false>>(launch, args);
}

}  // namespace pagoda::kernels::cuda

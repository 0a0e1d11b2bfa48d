#include "kernels/cuda/linear.cuh"

namespace pagoda::kernels::cuda {

void launch_linear_int4_zeros(const Launcher& launch, const LinearArgs& args) {
  launch_linear_shapes<Int4Format<4, true>>(launch, args);
}

void launch_linear_int4_groups(const Launcher& launch, const LinearArgs& args) {
  launch_linear_shapes<Int4Format<1, true>>(launch, args);
}

}  // namespace pagoda::kernels::cuda

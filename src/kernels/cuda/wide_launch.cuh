#pragma once
// One a format: each is a file of its own, they take long to compile.

#include "kernels/cuda/wide_args.cuh"

namespace pagoda::kernels::cuda {

void launch_wide_bf16(const Launcher& launch, const WideArgs& args);
void launch_wide_fp8(const Launcher& launch, const WideArgs& args);
void launch_wide_int8(const Launcher& launch, const WideArgs& args);
void launch_wide_int4(const Launcher& launch, const WideArgs& args);
void launch_wide_int4_zeros(const Launcher& launch, const WideArgs& args);
void launch_wide_int4_groups(const Launcher& launch, const WideArgs& args);

}  // namespace pagoda::kernels::cuda

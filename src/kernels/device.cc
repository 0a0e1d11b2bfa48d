#include "kernels/device.h"

namespace pagoda::kernels {

bool chooses_gpu(const DeviceOptions& options) {
  return options.device != "cpu" && find_cuda_device(options.cuda.device).ok();
}

base::Result<std::unique_ptr<Ops>> make_ops(const DeviceOptions& options) {
  if (options.device != "cpu") {
    CudaOptions cuda = options.cuda;
    cuda.deterministic = options.cpu.deterministic;
    cuda.pack_threads = options.cpu.threads;
    auto ops = make_cuda_ops(cuda);
    if (ops.ok()) return std::unique_ptr<Ops>(std::move(ops).value());
    if (options.device == "cuda") return ops.status();
  }
  return make_cpu_ops(options.cpu);
}

}  // namespace pagoda::kernels

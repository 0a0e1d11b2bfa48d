#pragma once
// What this machine can do at most, measured now: the floors that `pagoda bench` holds its rows against.

#include <memory>

#include "kernels/ops.h"

namespace pagoda::kernels {

// Keeps threads and 512 MiB of memory as long as it lives; its threads sleep between calls.
class CpuLimitMeter {
 public:
  explicit CpuLimitMeter(const CpuOptions& options);
  ~CpuLimitMeter();

  // All threads streaming through memory larger than any cache; some 50 ms. On a machine shared with others
  // this changes from second to second: measure right beside what is compared with it.
  double read_bytes_per_second();
  // All threads multiplying what a product with weights of `format` multiplies. The kernel for many rows on
  // panels that stay in L1 (FP8: BF16's; INT4: INT8's by VNNI or AMX, which multiply bytes alike), or, with
  // AVX2, loops of VPMADDUBSW in registers where they are faster: INT4 has its own, since sums of nibbles
  // need widening less often.
  double operations_per_second(WeightFormat format);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pagoda::kernels

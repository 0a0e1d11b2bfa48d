#pragma once
// Integers as files have them (StoredIntegers in kernels/weight.h), put where the tiles of tile_layout.cuh
// want them. No device code: host files include it too.

#include "kernels/cuda/launch.cuh"
#include "kernels/weight.h"

namespace pagoda::kernels::cuda {

// Inputs that one unit of the layouts of words covers: those of a chunk of INT4.
inline constexpr std::int64_t kUnitInputs = 128;
inline constexpr std::int64_t kMostInputs = 65535 * 8;  // of a grid

struct RearrangeArgs {
  WeightFormat format = WeightFormat::kInt4;
  StoredIntegers::Order order = StoredIntegers::Order::kRows;
  // Host memory that the device reads by itself: units [first, first + count) of the part. A unit is a row,
  // or all rows of kUnitInputs inputs; aligned to 16 bytes.
  const std::byte* from = nullptr;
  std::int64_t first = 0, count = 0;
  std::int64_t first_row = 0, rows = 0;  // of the part, in W
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;  // whole chunks
  bool pairs = false;
  std::byte* to = nullptr;  // the tiles of W
};

void launch_rearrange(const RearrangeArgs& args, cudaStream_t stream);

}  // namespace pagoda::kernels::cuda

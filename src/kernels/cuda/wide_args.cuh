#pragma once
// What linear_wide.cuh is called with. No device code: host files include it too.

#include "kernels/cuda/linear_args.cuh"
#include "kernels/weight.h"

namespace pagoda::kernels::cuda {

inline constexpr int kMaxWideRows = 256;
inline constexpr int kWideTileRows = 128;  // of W
inline constexpr int kMapRowBytes = 128;   // of a row of a box of a tensor map: 64 bf16, 128 e4m3

struct WideArgs {
  LinearArgs linear;                    // x is not read
  const std::byte* x = nullptr;         // integers: its image; BF16: its rows; FP8: rows of e4m3 [m, in]
  const float* x_scales = nullptr;      // [m], or null: the kernel makes those of the deferred norm itself
  int columns = 0;                      // rows of x that a block computes: 32, 64 or 128
  int steps = 0;                        // of k
  int splits = 1;                       // blocks that cut them between them
  int groups = 1;                       // of `columns` rows of x
  int items = 0;                        // of W (one or two tiles) times groups
  alignas(64) std::byte map[128] = {};  // CUtensorMap of W if it is row-major
  alignas(64) std::byte x_map[128] = {};
};

// Of a block, for so many rows of x.
int wide_columns(std::int64_t rows);
// With few rows the kernel makes the scales of a deferred norm itself, and whoever makes x its image: there
// is little of both, and a kernel less to wait for. With many rows it is the other way round, for the code of
// the kernel's end, which runs once, is what is slow there.
inline constexpr int kFewWideColumns = 64;
// Of W, whose sums of squares are added up for a deferred norm.
__host__ __device__ constexpr int rows_a_partial(int columns) {
  return columns <= kFewWideColumns ? kWideTileRows : 16;
}
std::size_t wide_image_bytes(std::int64_t max_features);
// The image that weights of integers want, with so many features a row.
XRows wide_image(WeightFormat format, std::byte* data, int columns, std::int64_t features);

// x [m, in] bf16, its columns in the order of `order` if that is not null -> image and, if wanted, the scales
// of the deferred norm.
void launch_wide_image(const Launcher& launch, const LinearArgs& args, const std::int32_t* order,
                       const XRows& image, float* scales);
// m from 1 to kMaxWideRows; the maps are filled in here.
void launch_wide_linear(const Launcher& launch, WeightFormat format, WideArgs args);

}  // namespace pagoda::kernels::cuda

#pragma once
// What linear_wide.cuh is called with. No device code: host files include it too.

#include "kernels/cuda/linear_args.cuh"
#include "kernels/weight.h"

namespace pagoda::kernels::cuda {

inline constexpr int kMaxWideRows = 256;
inline constexpr int kWideTileRows = 128;  // rows of W a block works on

// In which order k lies in x's image (linear_format.cuh): as it is, or as the lanes find it in W.
enum class XOrder : int { kNatural, kHalves, kBytes };

// x for the tensor cores of sm_90: [k / 64][columns][64], pieces of 16 bytes swizzled as hopper.cuh has them.
struct XImage {
  std::byte* data = nullptr;
  int columns = 0;          // rows of x, rounded up to what a launch computes
  float* scales = nullptr;  // [m]: of the deferred norm, or null
};

struct WideArgs {
  LinearArgs linear;  // x and x_partials are not read
  XImage x;
  float* parts = nullptr;               // kWideParts * kWideTileRows * columns
  int* arrivals = nullptr;              // one a tile of 128 rows, zero between launches
  int steps = 0;                        // of k, for a tile
  alignas(64) std::byte map[128] = {};  // CUtensorMap of W if it is row-major
};

// How many columns a launch for m rows computes: 32, 64, 128 or 256.
int wide_columns(int m);
// Bytes of x's image, and of the parts of sums of blocks that share tiles.
std::size_t wide_image_bytes(std::int64_t max_features);
std::size_t wide_parts_bytes(int multiprocessors);

XOrder wide_order(WeightFormat format);

// x [m, in] bf16, its columns in the order of `order` if that is not null -> image and, if partials are given
// (linear_args.cuh), scales.
void launch_wide_image(const Launcher& launch, XOrder x_order, const LinearArgs& args,
                       const std::int32_t* order, const XImage& image);
// m from 1 to kMaxWideRows.
void launch_wide_linear(const Launcher& launch, WeightFormat format, WideArgs args);

}  // namespace pagoda::kernels::cuda

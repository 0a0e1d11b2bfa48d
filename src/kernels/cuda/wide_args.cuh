#pragma once
// What linear_wide.cuh is called with. No device code: host files include it too.

#include "kernels/cuda/linear_args.cuh"
#include "kernels/weight.h"

namespace pagoda::kernels::cuda {

inline constexpr int kMaxWideRows = 256;
inline constexpr int kWideTileRows = 128;  // of W
inline constexpr int kMapRowBytes = 128;   // of a row of a box of a tensor map: 64 bf16, 128 e4m3

// In which order k lies in x's image (linear_format.cuh): as it is, or as the lanes find it in W.
enum class XOrder : int { kNatural, kHalves, kBytes };

// x for the tensor cores of sm_90. FP8: rows of e4m3 one after another, and a scale each. Otherwise [rows of
// x / columns][k / 64][columns][64], k in whole 128, pieces of 16 bytes swizzled as hopper.cuh has them.
struct XImage {
  std::byte* data = nullptr;
  int columns = 0;          // rows of x that a block computes: 32, 64 or 128
  float* scales = nullptr;  // [m]: of e4m3 and of the deferred norm, or null
};

struct WideArgs {
  LinearArgs linear;  // x and x_partials are not read
  XImage x;
  int steps = 0;                        // of k
  int splits = 1;                       // blocks that cut them between them
  int groups = 1;                       // of x.columns rows of x
  int items = 0;                        // of W (one or two tiles) times groups
  alignas(64) std::byte map[128] = {};  // CUtensorMap of W if it is row-major
  alignas(64) std::byte x_map[128] = {};
};

int wide_columns(int m);
// Of a row of x in the image: whole steps of k, of any format.
__host__ __device__ constexpr std::int64_t image_features(std::int64_t in_features) {
  return (in_features + 127) / 128 * 128;
}
std::size_t wide_image_bytes(std::int64_t max_features);

XOrder wide_order(WeightFormat format);

// x [m, in] bf16, its columns in the order of `order` if that is not null -> image and, if partials are given
// (linear_args.cuh), scales.
void launch_wide_image(const Launcher& launch, XOrder x_order, const LinearArgs& args,
                       const std::int32_t* order, const XImage& image);
// m from 1 to kMaxWideRows; the maps are filled in here.
void launch_wide_linear(const Launcher& launch, WeightFormat format, WideArgs args);

}  // namespace pagoda::kernels::cuda

// Images of x (x_rows.cuh) where nobody has left one, and the entry to linear_wide.cuh's kernels.

#include <bit>

#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/tensor_map.h"
#include "kernels/cuda/wide_args.cuh"
#include "kernels/cuda/wide_launch.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// Blocks: (row, part of its pieces). Columns of the image beyond m are left as they are: nobody looks at
// their products.
template <XOrder kOrder>
__global__ __launch_bounds__(kThreads) void make_image(const LinearArgs p, const std::int32_t* order,
                                                       const XRows image, float* scales) {
  wait_for_previous();
  let_next_start();
  const int n = blockIdx.x, in = p.weight.in_features;
  const __nv_bfloat16* x = p.x + n * p.x_stride;
  if (scales != nullptr && blockIdx.y == 0 && threadIdx.x < 32) {
    float total = 0;
    for (int i = threadIdx.x; i < p.x_norm.partials_a_row; i += 32)
      total += p.x_norm.partials[n * p.x_norm.partials_a_row + i];
    total = warp_sum(total);
    if (threadIdx.x == 0) scales[n] = rsqrtf(total / static_cast<float>(in) + p.x_norm.eps);
  }
  const int pieces = static_cast<int>(image.stride) / 8, i = blockIdx.y * kThreads + threadIdx.x;
  if (i >= pieces) return;
  const int piece = i % 8, first = i / 8 * 64;
  std::uint32_t pairs[4];
#pragma unroll
  for (int place = 0; place < 4; ++place) {
    const int k = first + k_of_pair(kOrder, piece, place);
    if (k >= in) {
      pairs[place] = 0;
    } else if (order == nullptr) {
      pairs[place] = *reinterpret_cast<const std::uint32_t*>(x + k);
    } else {
      const __nv_bfloat162 both{x[order[k]], x[order[k + 1]]};
      pairs[place] = reinterpret_cast<const std::uint32_t&>(both);
    }
  }
  *reinterpret_cast<uint4*>(image.at(n, first + k_of_pair(kOrder, piece, 0))) =
      make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}

}  // namespace

int wide_columns(std::int64_t rows) { return rows <= 32 ? 32 : rows <= 64 ? 64 : 128; }

std::size_t wide_image_bytes(std::int64_t max_features) {
  return static_cast<std::size_t>(image_features(max_features)) * kMaxWideRows * sizeof(__nv_bfloat16);
}

XRows wide_image(WeightFormat format, std::byte* data, int columns, std::int64_t features) {
  return {data, image_features(features), std::countr_zero(static_cast<unsigned>(columns)),
          format == WeightFormat::kInt4 ? XOrder::kHalves : XOrder::kBytes};
}

void launch_wide_image(const Launcher& launch, const LinearArgs& args, const std::int32_t* order,
                       const XRows& image, float* scales) {
  const auto pieces = static_cast<unsigned>(image.stride / 8);
  launch(image.order == XOrder::kHalves ? make_image<XOrder::kHalves> : make_image<XOrder::kBytes>,
         dim3(args.m, (pieces + kThreads - 1) / kThreads), dim3(kThreads), 0, args, order, image, scales);
}

void launch_wide_linear(const Launcher& launch, WeightFormat format, WideArgs args) {
  const WeightView& w = args.linear.weight;
  const auto describe = [&](int element_bytes, std::int64_t x_stride) {
    describe_rows({w.data, w.out_features, w.in_features, w.in_features, element_bytes}, w.pairs,
                  kWideTileRows, args.map);
    describe_rows({args.x, args.linear.m, w.in_features, x_stride, element_bytes}, /*pairs=*/false,
                  args.columns, args.x_map);
  };
  switch (format) {
    case WeightFormat::kBF16:
      describe(2, args.linear.x_stride);
      return launch_wide_bf16(launch, args);
    case WeightFormat::kFp8:
      describe(1, w.in_features);
      return launch_wide_fp8(launch, args);
    case WeightFormat::kInt8:
      return launch_wide_int8(launch, args);
    default:
      if (w.group_shift < 0) return launch_wide_int4_groups(launch, args);
      if (w.group_zeros != nullptr) return launch_wide_int4_zeros(launch, args);
      return launch_wide_int4(launch, args);
  }
}

}  // namespace pagoda::kernels::cuda

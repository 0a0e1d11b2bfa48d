// x as the tensor cores of sm_90 read it from shared memory, and the entry to linear_wide.cuh's kernels.

#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/tensor_map.h"
#include "kernels/cuda/wide_args.cuh"
#include "kernels/cuda/wide_launch.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// The first of the two neighbouring k that lie in pair `pair` (of 4) of piece `piece` (of 8) of 64 k.
template <XOrder kOrder>
__device__ __forceinline__ int k_of_pair(int piece, int pair) {
  const int step = piece / 2, upper = piece % 2;  // of 16 k, and which half of a fragment
  if constexpr (kOrder == XOrder::kNatural) return piece * 8 + pair * 2;
  if constexpr (kOrder == XOrder::kHalves) return step / 2 * 32 + pair * 8 + step % 2 * 4 + upper * 2;
  return pair * 16 + step * 4 + upper * 2;
}

// Blocks: (row, part of its pieces). Columns of the image beyond m are left as they are: nobody looks at
// their products.
template <XOrder kOrder>
__global__ __launch_bounds__(kThreads) void make_image(const LinearArgs p, const std::int32_t* order,
                                                       const XImage image) {
  wait_for_previous();
  let_next_start();
  const int n = blockIdx.x, in = p.weight.in_features;
  const __nv_bfloat16* x = p.x + n * p.x_stride;
  if (p.x_partials != nullptr && blockIdx.y == 0 && threadIdx.x < 32) {
    float total = 0;
    for (int i = threadIdx.x; i < in / 16; i += 32)
      total += p.x_partials[static_cast<std::int64_t>(n) * (in / 16) + i];
    total = warp_sum(total);
    if (threadIdx.x == 0) image.scales[n] = rsqrtf(total / static_cast<float>(in) + p.eps);
  }
  const int pieces = static_cast<int>(image_features(in)) / 8, i = blockIdx.y * kThreads + threadIdx.x;
  if (i >= pieces) return;
  const int piece = i % 8, first = i / 8 * 64;
  std::uint32_t pairs[4];
#pragma unroll
  for (int pair = 0; pair < 4; ++pair) {
    const int k = first + k_of_pair<kOrder>(piece, pair);
    if (k >= in) {
      pairs[pair] = 0;
    } else if (order == nullptr) {
      pairs[pair] = *reinterpret_cast<const std::uint32_t*>(x + k);
    } else {
      const __nv_bfloat162 both{x[order[k]], x[order[k + 1]]};
      pairs[pair] = reinterpret_cast<const std::uint32_t&>(both);
    }
  }
  const int step = n / image.columns * (pieces / 8) + i / 8, column = n % image.columns;
  std::byte* row = image.data + (static_cast<std::int64_t>(step) * image.columns + column) * 128;
  *reinterpret_cast<uint4*>(row + (piece ^ column % 8) * 16) =
      make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}

}  // namespace

int wide_columns(int m) { return m <= 32 ? 32 : m <= 64 ? 64 : 128; }

std::size_t wide_image_bytes(std::int64_t max_features) {
  return static_cast<std::size_t>(image_features(max_features)) * kMaxWideRows * sizeof(__nv_bfloat16);
}

XOrder wide_order(WeightFormat format) {
  return format == WeightFormat::kBF16   ? XOrder::kNatural
         : format == WeightFormat::kInt4 ? XOrder::kHalves
                                         : XOrder::kBytes;
}

void launch_wide_image(const Launcher& launch, XOrder x_order, const LinearArgs& args,
                       const std::int32_t* order, const XImage& image) {
  const auto kernel = x_order == XOrder::kNatural  ? make_image<XOrder::kNatural>
                      : x_order == XOrder::kHalves ? make_image<XOrder::kHalves>
                                                   : make_image<XOrder::kBytes>;
  const auto pieces = static_cast<unsigned>(image_features(args.weight.in_features) / 8);
  launch(kernel, dim3(args.m, (pieces + kThreads - 1) / kThreads), dim3(kThreads), 0, args, order, image);
}

void launch_wide_linear(const Launcher& launch, WeightFormat format, WideArgs args) {
  const WeightView& w = args.linear.weight;
  switch (format) {
    case WeightFormat::kBF16:
      describe_rows(w.data, w.out_features, w.in_features, 2, w.pairs, kWideTileRows, args.map);
      return launch_wide_bf16(launch, args);
    case WeightFormat::kFp8:
      describe_rows(w.data, w.out_features, w.in_features, 1, w.pairs, kWideTileRows, args.map);
      describe_rows(args.x.data, args.linear.m, w.in_features, 1, /*pairs=*/false, args.x.columns,
                    args.x_map);
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

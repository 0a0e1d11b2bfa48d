#include "kernels/cuda/rows.cuh"

#include <cuda_fp8.h>

#include "kernels/cuda/linear_format.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// One weight as its format stores it; the slow way round, for rows that are read once.
template <WeightFormat kFormat>
__device__ float weight_at(const WeightView& w, int row, int k) {
  if constexpr (kFormat == WeightFormat::kBF16) {
    return __bfloat162float(
        reinterpret_cast<const __nv_bfloat16*>(w.data)[static_cast<std::int64_t>(row) * w.in_features + k]);
  } else if constexpr (kFormat == WeightFormat::kFp8) {
    const auto byte = static_cast<std::uint32_t>(w.data[static_cast<std::int64_t>(row) * w.in_features + k]);
    const std::uint32_t pair = DecodeE4m3::pair(byte << 8);
    return __uint_as_float(pair << 16) * w.row_scale(row);
  } else {
    int tile = row / 16, r = row % 16;
    if (w.pairs) {
      const bool up = row >= w.out_features / 2;
      const int within = up ? row - w.out_features / 2 : row;
      tile = within / 8;
      r = within % 8 + (up ? 8 : 0);
    }
    constexpr bool kInt4 = kFormat == WeightFormat::kInt4;
    constexpr int kChunk = kInt4 ? kInt4Chunk : kInt8Chunk;
    const int chunks = (w.in_features + kChunk - 1) / kChunk;
    const std::byte* chunk = w.data + piece_of(tile, chunks, k / kChunk) * kTileChunkBytes;
    if constexpr (!kInt4)
      return (static_cast<int>(chunk[int8_offset(k % kChunk, r)]) - 128) * w.row_scale(row);
    const std::uint32_t word =
        *reinterpret_cast<const std::uint32_t*>(chunk + int4_word_offset(k % kChunk, r));
    const int value = word >> int4_shift(k) & 15;
    const int group = w.group_shift < 0 ? k / 32 : k / kChunk >> w.group_shift;
    const std::int64_t at = piece_of(tile, w.groups, group) * 16 + r;
    const float zero = w.group_zeros == nullptr ? 8.0f : __uint_as_float(w.group_zeros[at] << 16) - 128.0f;
    return (value - zero) * __half2float(reinterpret_cast<const __half*>(w.group_scales)[at]);
  }
}

template <WeightFormat kFormat>
__global__ void embed(const WeightView w, const std::int32_t* tokens, float* out, std::int64_t out_stride) {
  wait_for_previous();
  let_next_start();
  const int row = tokens[blockIdx.x];
  for (int k = threadIdx.x; k < w.in_features; k += kThreads)
    out[blockIdx.x * out_stride + k] = weight_at<kFormat>(w, row, k);
}

template <WeightFormat kFormat>
__global__ void dequantize(const WeightView w, int first_row, __nv_bfloat16* out) {
  wait_for_previous();
  let_next_start();
  const int row = first_row + blockIdx.x;
  for (int k = threadIdx.x; k < w.in_features; k += kThreads)
    out[static_cast<std::int64_t>(blockIdx.x) * w.in_features + k] =
        __float2bfloat16(weight_at<kFormat>(w, row, k));
}

// One block a row, which stays in registers between the two passes.
__global__ __launch_bounds__(kThreads) void rms_norm(const float* x, std::int64_t x_stride,
                                                     const float* weight, float eps, int columns,
                                                     __nv_bfloat16* out, std::int64_t out_stride) {
  __shared__ float sums[kThreads / 32];
  wait_for_previous();
  let_next_start();
  const float* row = x + blockIdx.x * x_stride;
  float squares = 0;
  for (int i = threadIdx.x; i < columns; i += kThreads) squares += row[i] * row[i];
  squares = warp_sum(squares);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = squares;
  __syncthreads();
  float total = 0;
  for (const float sum : sums) total += sum;
  const float inverse = rsqrtf(total / static_cast<float>(columns) + eps);
  for (int i = threadIdx.x; i < columns; i += kThreads)
    out[blockIdx.x * out_stride + i] = __float2bfloat16(row[i] * inverse * weight[i]);
}

// One block a row; columns are a multiple of 16 (pack.cc).
__global__ __launch_bounds__(kThreads) void quantize_rows(const __nv_bfloat16* x, std::int64_t x_stride,
                                                          int columns, std::byte* out, float* scales) {
  __shared__ float largest_of[kThreads / 32];
  wait_for_previous();
  let_next_start();
  const auto* row = reinterpret_cast<const uint4*>(x + blockIdx.x * x_stride);
  __nv_bfloat162 most = __float2bfloat162_rn(0.0f);
  for (int i = threadIdx.x; i < columns / 8; i += kThreads) {
    const uint4 words = row[i];
    for (const std::uint32_t two : {words.x, words.y, words.z, words.w})
      most = __hmax2(most, __habs2(reinterpret_cast<const __nv_bfloat162&>(two)));
  }
  float largest = warp_max(fmaxf(__low2float(most), __high2float(most)));
  if (threadIdx.x % 32 == 0) largest_of[threadIdx.x / 32] = largest;
  __syncthreads();
  for (const float other : largest_of) largest = fmaxf(largest, other);
  constexpr float kLargestE4m3 = 448;
  const float scale = largest > 0 ? largest / kLargestE4m3 : 1.0f, inverse = 1.0f / scale;
  if (threadIdx.x == 0) scales[blockIdx.x] = scale;
  auto* to = reinterpret_cast<uint2*>(out + static_cast<std::int64_t>(blockIdx.x) * columns);
  for (int i = threadIdx.x; i < columns / 8; i += kThreads) {
    const uint4 words = row[i];
    const std::uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
    std::uint32_t bytes[4];
    for (int j = 0; j < 4; ++j) {
      const float2 both = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(pairs[j]));
      bytes[j] = __nv_cvt_float2_to_fp8x2({both.x * inverse, both.y * inverse}, __NV_SATFINITE, __NV_E4M3);
    }
    to[i] = make_uint2(bytes[0] | bytes[1] << 16, bytes[2] | bytes[3] << 16);
  }
}

__global__ void swiglu(const __nv_bfloat16* gate_up, std::int64_t gate_up_stride, int columns,
                       __nv_bfloat16* out, std::int64_t out_stride) {
  wait_for_previous();
  let_next_start();
  const __nv_bfloat16* gate = gate_up + blockIdx.y * gate_up_stride;
  const int i = (blockIdx.x * kThreads + threadIdx.x) * 2;
  if (i >= columns) return;
  const float2 g = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(gate + i));
  const float2 u = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(gate + columns + i));
  *reinterpret_cast<std::uint32_t*>(out + blockIdx.y * out_stride + i) =
      pack_bf16(g.x / (1.0f + __expf(-g.x)) * u.x, g.y / (1.0f + __expf(-g.y)) * u.y);
}

__global__ void gather(const float* x, std::int64_t x_stride, const std::int32_t* rows, int columns,
                       float* out, std::int64_t out_stride) {
  wait_for_previous();
  let_next_start();
  for (int i = threadIdx.x; i < columns; i += kThreads)
    out[blockIdx.x * out_stride + i] = x[rows[blockIdx.x] * x_stride + i];
}

__global__ void permute(const __nv_bfloat16* x, std::int64_t x_stride, const std::int32_t* order, int columns,
                        __nv_bfloat16* out, std::int64_t out_stride) {
  wait_for_previous();
  let_next_start();
  for (int i = threadIdx.x; i < columns; i += kThreads)
    out[blockIdx.x * out_stride + i] = x[blockIdx.x * x_stride + order[i]];
}

}  // namespace

void launch_embed(const Launcher& launch, WeightFormat format, const WeightView& embedding,
                  const std::int32_t* tokens, int count, float* out, std::int64_t out_stride) {
  const auto kernel = format == WeightFormat::kBF16   ? embed<WeightFormat::kBF16>
                      : format == WeightFormat::kInt8 ? embed<WeightFormat::kInt8>
                      : format == WeightFormat::kInt4 ? embed<WeightFormat::kInt4>
                                                      : embed<WeightFormat::kFp8>;
  launch(kernel, dim3(count), dim3(kThreads), 0, embedding, tokens, out, out_stride);
}

void launch_rms_norm(const Launcher& launch, const float* x, std::int64_t x_stride, const float* weight,
                     float eps, int rows, int columns, __nv_bfloat16* out, std::int64_t out_stride) {
  launch(rms_norm, dim3(rows), dim3(kThreads), 0, x, x_stride, weight, eps, columns, out, out_stride);
}

void launch_swiglu(const Launcher& launch, const __nv_bfloat16* gate_up, std::int64_t gate_up_stride,
                   int rows, int columns, __nv_bfloat16* out, std::int64_t out_stride) {
  launch(swiglu, dim3((columns / 2 + kThreads - 1) / kThreads, rows), dim3(kThreads), 0, gate_up,
         gate_up_stride, columns, out, out_stride);
}

void launch_gather(const Launcher& launch, const float* x, std::int64_t x_stride, const std::int32_t* rows,
                   int count, int columns, float* out, std::int64_t out_stride) {
  launch(gather, dim3(count), dim3(kThreads), 0, x, x_stride, rows, columns, out, out_stride);
}

void launch_quantize_rows(const Launcher& launch, const __nv_bfloat16* x, std::int64_t x_stride, int rows,
                          int columns, std::byte* out, float* scales) {
  launch(quantize_rows, dim3(rows), dim3(kThreads), 0, x, x_stride, columns, out, scales);
}

void launch_permute(const Launcher& launch, const __nv_bfloat16* x, std::int64_t x_stride,
                    const std::int32_t* order, int rows, int columns, __nv_bfloat16* out,
                    std::int64_t out_stride) {
  launch(permute, dim3(rows), dim3(kThreads), 0, x, x_stride, order, columns, out, out_stride);
}

void launch_dequantize(const Launcher& launch, WeightFormat format, const WeightView& weight, int first_row,
                       int rows, __nv_bfloat16* out) {
  const auto kernel = format == WeightFormat::kInt8   ? dequantize<WeightFormat::kInt8>
                      : format == WeightFormat::kInt4 ? dequantize<WeightFormat::kInt4>
                                                      : dequantize<WeightFormat::kFp8>;
  launch(kernel, dim3(rows), dim3(kThreads), 0, weight, first_row, out);
}

}  // namespace pagoda::kernels::cuda

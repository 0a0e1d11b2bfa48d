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
    const auto [tile, r] = tile_of_row(w.pairs, w.out_features, row);
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

// Rows that one block works on, 8 neighbouring values a thread at a time.
constexpr int kRowThreads = 512;

struct Eight {
  float of[8];
};
__device__ __forceinline__ Eight load_eight(const float* from) {
  const float4 low = *reinterpret_cast<const float4*>(from),
               high = *reinterpret_cast<const float4*>(from + 4);
  return {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
}
// Eight bf16 values.
__device__ __forceinline__ Eight unpack_eight(const uint4& words) {
  Eight values;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t two = word(words, i);
    const float2 both = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(two));
    values.of[2 * i] = both.x;
    values.of[2 * i + 1] = both.y;
  }
  return values;
}
__device__ __forceinline__ Eight load_eight(const __nv_bfloat16* from) { return unpack_eight(load_16(from)); }
__device__ __forceinline__ uint4 pack_eight(const Eight& v) {
  return make_uint4(pack_bf16(v.of[0], v.of[1]), pack_bf16(v.of[2], v.of[3]), pack_bf16(v.of[4], v.of[5]),
                    pack_bf16(v.of[6], v.of[7]));
}
__device__ __forceinline__ void store_eight(__nv_bfloat16* to, const uint4& packed) {
  *reinterpret_cast<uint4*>(to) = packed;
}
__device__ __forceinline__ float largest_of(const Eight& v, float largest) {
  for (const float value : v.of) largest = fmaxf(largest, fabsf(value));
  return largest;
}

// combine(a, b) over all threads of the block.
template <typename Combine>
__device__ __forceinline__ float over_block(float value, Combine combine) {
  __shared__ float of_warp[kRowThreads / 32];
  value = over_warp(value, combine);
  __syncthreads();  // of what was here before
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = of_warp[0];
  for (int i = 1; i < kRowThreads / 32; ++i) value = combine(value, of_warp[i]);
  return value;
}

// The block's row in e4m3, with its scale. value_at(i): values 8 i ... as bf16; a thread's first kKept are
// kept, for the rest of longer rows it is called twice.
template <int kKept, typename ValueAt>
__device__ __forceinline__ void quantize_row(int columns, ValueAt value_at, const Fp8Rows& out) {
  constexpr float kLargestE4m3 = 448;
  const int count = columns / 8;
  uint4 kept[kKept];
  float largest = 0;
#pragma unroll
  for (int t = 0; t < kKept; ++t)
    if (const int i = threadIdx.x + t * kRowThreads; i < count) {
      kept[t] = value_at(i);
      largest = largest_of(unpack_eight(kept[t]), largest);
    }
  const int rest = threadIdx.x + kKept * kRowThreads;
  for (int i = rest; i < count; i += kRowThreads) largest = largest_of(unpack_eight(value_at(i)), largest);
  largest = over_block(largest, Maximum());
  const float scale = largest > 0 ? largest / kLargestE4m3 : 1.0f, inverse = 1.0f / scale;
  if (threadIdx.x == 0) out.scales[blockIdx.x] = scale;
  auto* to = reinterpret_cast<uint2*>(out.data + static_cast<std::int64_t>(blockIdx.x) * columns);
  const auto store = [&](int i, const uint4& packed) {
    const Eight v = unpack_eight(packed);
    std::uint32_t pairs[4];
    for (int j = 0; j < 4; ++j)
      pairs[j] = __nv_cvt_float2_to_fp8x2({v.of[2 * j] * inverse, v.of[2 * j + 1] * inverse}, __NV_SATFINITE,
                                          __NV_E4M3);
    to[i] = make_uint2(pairs[0] | pairs[1] << 16, pairs[2] | pairs[3] << 16);
  };
#pragma unroll
  for (int t = 0; t < kKept; ++t)
    if (const int i = threadIdx.x + t * kRowThreads; i < count) store(i, kept[t]);
  for (int i = rest; i < count; i += kRowThreads) store(i, value_at(i));
}

__global__ __launch_bounds__(kRowThreads, 3) void quantize_rows(const __nv_bfloat16* x, std::int64_t x_stride,
                                                                int columns, const DeferredNorm norm,
                                                                const Fp8Rows out) {
  wait_for_previous();
  let_next_start();
  const __nv_bfloat16* row = x + blockIdx.x * x_stride;
  quantize_row<1>(
      columns, [&](int i) { return load_16(row + 8 * i); }, out);
  if (norm.partials == nullptr) return;
  float squares = 0;
  for (int i = threadIdx.x; i < norm.partials_a_row; i += kRowThreads)
    squares += norm.partials[blockIdx.x * norm.partials_a_row + i];
  const float total = over_block(squares, Sum());
  if (threadIdx.x == 0) out.scales[blockIdx.x] *= rsqrtf(total / static_cast<float>(columns) + norm.eps);
}

template <bool kFp8>
__global__ __launch_bounds__(kRowThreads, kFp8 ? 2 : 3) void rms_norm(const float* x, std::int64_t x_stride,
                                                                      const float* weight, float eps,
                                                                      int columns, __nv_bfloat16* out,
                                                                      std::int64_t out_stride,
                                                                      const Fp8Rows fp8) {
  // A thread's first values, which most models' rows do not exceed, are kept, and their weights come from
  // memory while the kernel before ends.
  const int first = threadIdx.x, count = columns / 8;
  Eight x_first = {}, w_first = {};
  if (first < count) w_first = load_eight(weight + 8 * first);
  wait_for_previous();
  let_next_start();
  const float* row = x + blockIdx.x * x_stride;
  __nv_bfloat16* to = out + blockIdx.x * out_stride;
  if (first < count) x_first = load_eight(row + 8 * first);
  float squares = 0;
  for (const float value : x_first.of) squares += value * value;
  for (int i = first + kRowThreads; i < count; i += kRowThreads)
    for (const float value : load_eight(row + 8 * i).of) squares += value * value;
  const float total = over_block(squares, Sum());
  const float inverse = rsqrtf(total / static_cast<float>(columns) + eps);
  const auto norm_eight = [&](int i) {
    Eight v = i == first ? x_first : load_eight(row + 8 * i);
    const Eight w = i == first ? w_first : load_eight(weight + 8 * i);
    for (int j = 0; j < 8; ++j) v.of[j] *= inverse * w.of[j];
    return pack_eight(v);
  };
  if constexpr (kFp8)
    quantize_row<1>(columns, norm_eight, fp8);
  else
    for (int i = first; i < count; i += kRowThreads) store_eight(to + 8 * i, norm_eight(i));
}

__device__ __forceinline__ Eight swiglu_of(const __nv_bfloat16* gate, int columns, int i) {
  Eight v = load_eight(gate + i);
  const Eight up = load_eight(gate + columns + i);
  for (int j = 0; j < 8; ++j) v.of[j] = silu_times(v.of[j], up.of[j]);
  return v;
}

// Blocks of a row that share nothing.
__global__ __launch_bounds__(kThreads) void swiglu(const __nv_bfloat16* gate_up, std::int64_t gate_up_stride,
                                                   int columns, __nv_bfloat16* out, std::int64_t out_stride) {
  wait_for_previous();
  let_next_start();
  const int i = (blockIdx.x * kThreads + threadIdx.x) * 8;
  if (i < columns)
    store_eight(out + blockIdx.y * out_stride + i,
                pack_eight(swiglu_of(gate_up + blockIdx.y * gate_up_stride, columns, i)));
}

__global__ __launch_bounds__(kRowThreads, 2) void swiglu_fp8(const __nv_bfloat16* gate_up,
                                                             std::int64_t gate_up_stride, int columns,
                                                             const Fp8Rows fp8) {
  wait_for_previous();
  let_next_start();
  const __nv_bfloat16* gate = gate_up + blockIdx.x * gate_up_stride;
  quantize_row<4>(
      columns, [&](int i) { return pack_eight(swiglu_of(gate, columns, 8 * i)); }, fp8);
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
                     float eps, int rows, int columns, __nv_bfloat16* out, std::int64_t out_stride,
                     const Fp8Rows& fp8) {
  launch(fp8.data == nullptr ? rms_norm<false> : rms_norm<true>, dim3(rows), dim3(kRowThreads), 0, x,
         x_stride, weight, eps, columns, out, out_stride, fp8);
}

void launch_swiglu(const Launcher& launch, const __nv_bfloat16* gate_up, std::int64_t gate_up_stride,
                   int rows, int columns, __nv_bfloat16* out, std::int64_t out_stride, const Fp8Rows& fp8) {
  if (fp8.data != nullptr)
    return launch(swiglu_fp8, dim3(rows), dim3(kRowThreads), 0, gate_up, gate_up_stride, columns, fp8);
  launch(swiglu, dim3((columns / 8 + kThreads - 1) / kThreads, rows), dim3(kThreads), 0, gate_up,
         gate_up_stride, columns, out, out_stride);
}

void launch_gather(const Launcher& launch, const float* x, std::int64_t x_stride, const std::int32_t* rows,
                   int count, int columns, float* out, std::int64_t out_stride) {
  launch(gather, dim3(count), dim3(kThreads), 0, x, x_stride, rows, columns, out, out_stride);
}

void launch_quantize_rows(const Launcher& launch, const __nv_bfloat16* x, std::int64_t x_stride, int rows,
                          int columns, const DeferredNorm& norm, const Fp8Rows& out) {
  launch(quantize_rows, dim3(rows), dim3(kRowThreads), 0, x, x_stride, columns, norm, out);
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

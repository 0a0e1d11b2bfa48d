// Which kernels multiply, and their calls.

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "kernels/cuda/cuda_ops.h"

namespace pagoda::kernels::cuda {
namespace {

// By bench/kernels/cuda_layer.cc on an H200: rows up to which linear.cuh is faster than the library, where
// that takes the weights as they are; than linear_wide.cuh, where it does not (later for small matrices); and
// than weights made bf16 for the library, where there is no linear_wide.cuh.
constexpr std::int64_t kSmallRows = 8, kOwnQuantizedRows = 256;
constexpr std::int64_t small_quantized_rows(const Weight& weight) {
  return weight.out_features >= 32768 ? 8 : weight.out_features >= 3072 ? 16 : 32;
}
static_assert(kOwnQuantizedRows == kMaxWideRows);
// The library cuts FP8 into tiles of 128 x 128 and nothing else: few of them leave most of the device idle.
constexpr std::int64_t kFewOutputs = 8192;
bool fp8_wide_wins(const Weight& weight, std::int64_t rows) {
  return weight.out_features <= kFewOutputs || rows <= (weight.in_features >= 4096 ? 64 : 32);
}
// With what it saves in norms and SwiGLU of their own, and where the library is not much faster by itself.
bool bf16_wide_wins(const Weight& weight, std::int64_t rows) {
  return rows <= 32 && weight.in_features >= 4096 && weight.in_features <= weight.out_features;
}

void launch_linear(const Launcher& launch, const Weight& weight, const LinearArgs& args) {
  switch (weight.format) {
    case WeightFormat::kBF16:
      return launch_linear_bf16(launch, args);
    case WeightFormat::kFp8:
      return launch_linear_fp8(launch, args);
    case WeightFormat::kInt8:
      return launch_linear_int8(launch, args);
    case WeightFormat::kInt4:
      if (args.weight.group_shift < 0) return launch_linear_int4_groups(launch, args);
      if (args.weight.group_zeros != nullptr) return launch_linear_int4_zeros(launch, args);
      return launch_linear_int4(launch, args);
    case WeightFormat::kF32:
      break;
  }
  CHECK(false);
}

}  // namespace

WeightView view_of(const Weight& weight) {
  WeightView view;
  view.data = weight.data.data();
  view.out_features = static_cast<int>(weight.out_features);
  view.in_features = static_cast<int>(weight.in_features);
  view.tiles = (view.out_features + 15) / 16;
  view.pairs = weight.pairs;
  if (weight.format == WeightFormat::kInt4) {
    const std::int64_t group = weight.group_size == 0 ? weight.in_features : weight.group_size;
    view.group_scales = weight.scales.as<std::uint16_t>();
    view.group_zeros = weight.offsets.as<std::uint16_t>();
    view.groups = static_cast<int>(stored_groups(weight.in_features, group));
    const auto chunks = static_cast<unsigned>((group + kInt4Chunk - 1) / kInt4Chunk);
    view.group_shift = group == 32 ? -1 : std::bit_width(std::bit_ceil(chunks)) - 1;
  } else {
    view.scales = weight.scales.as<float>();
  }
  return view;
}

CudaOps::Path CudaOps::path_of(tensor::View x, const Weight& weight) const {
  const bool library_fp8 = weight.format == WeightFormat::kFp8 && fp8_gemm_;
  const bool library_takes_it = gemm_ != nullptr && (weight.format == WeightFormat::kBF16 || library_fp8);
  if (x.rows <= (library_takes_it ? kSmallRows : small_quantized_rows(weight))) return Path::kSmall;
  const Path own = wide_ ? Path::kWide : Path::kSmall;
  // Only FP8 takes a deferred norm to the library: with the scales of its rows.
  if (gemm_ == nullptr || (x.data == deferred_ && !library_fp8)) return own;
  if (library_fp8 && wide_ && x.rows <= kOwnQuantizedRows && fp8_wide_wins(weight, x.rows))
    return Path::kWide;
  if (weight.format == WeightFormat::kBF16 && wide_ && bf16_wide_wins(weight, x.rows)) return Path::kWide;
  return !library_takes_it && x.rows <= kOwnQuantizedRows ? own : Path::kLibrary;
}

tensor::View CudaOps::ordered(tensor::View x, const Weight& weight) {
  if (weight.input_order.size() == 0) return x;
  tensor::View out{ordered_x_.data(), x.rows, x.cols, max_x_columns_, x.dtype};
  launch_permute(launch_, x.as<__nv_bfloat16>(), x.stride, weight.input_order.as<std::int32_t>(),
                 static_cast<int>(x.rows), static_cast<int>(x.cols), out.as<__nv_bfloat16>(), out.stride);
  return out;
}

void CudaOps::own_linear(Path path, tensor::View x, const Weight& weight, LinearArgs args) {
  CHECK(x.cols == weight.in_features);
  const bool are_quantized = x.data == quantized_;
  quantized_ = nullptr;
  const std::int64_t partials_a_row = x.cols / 16, out_partials_a_row = (weight.out_features + 15) / 16;
  if (x.data == deferred_) {
    args.x_partials = norm_partials_.as<float>();
    args.eps = deferred_eps_;
  }
  // The image of x is made in the weight's order.
  const tensor::View input = path == Path::kWide ? x : ordered(x, weight);
  Fp8Rows fp8;
  if (path == Path::kWide && weight.format == WeightFormat::kFp8) fp8 = rows_in_fp8(x, are_quantized);
  args.weight = view_of(weight);
  args.x_stride = input.stride;
  const int most = path == Path::kWide ? kMaxWideRows : kMaxLinearRows;
  for (std::int64_t first = 0; first < x.rows; first += most) {
    LinearArgs part = args;
    part.x = input.as<__nv_bfloat16>() + first * input.stride;
    part.m = static_cast<int>(std::min<std::int64_t>(most, x.rows - first));
    if (part.out != nullptr) part.out += first * args.out_stride;
    if (part.normed != nullptr) part.normed += first * args.normed_stride;
    if (part.partials != nullptr) part.partials += first * out_partials_a_row;
    if (part.x_partials != nullptr) part.x_partials += first * partials_a_row;
    if (path == Path::kSmall)
      launch_linear(launch_, weight, part);
    else if (fp8.data == nullptr)
      wide_linear(weight, part);
    else
      launch_wide_linear(
          launch_, weight.format,
          {.linear = part, .x = {fp8.data + first * x.cols, wide_columns(part.m), fp8.scales + first}});
  }
}

void CudaOps::wide_linear(const Weight& weight, const LinearArgs& args) {
  WideArgs wide;
  wide.linear = args;
  wide.x = {wide_image_.data(), wide_columns(args.m),
            args.x_partials == nullptr ? nullptr : x_scales_.as<float>()};
  const auto* order = weight.input_order.size() == 0 ? nullptr : weight.input_order.as<std::int32_t>();
  launch_wide_image(launch_, wide_order(weight.format), args, order, wide.x);
  launch_wide_linear(launch_, weight.format, wide);
}

Fp8Rows CudaOps::rows_in_fp8(tensor::View x, bool are_quantized) {
  const Fp8Rows rows{ordered_x_.data(), x_scales_.as<float>()};
  DeferredNorm norm;
  if (x.data == deferred_) norm = {norm_partials_.as<float>(), deferred_eps_};
  if (!are_quantized)
    launch_quantize_rows(launch_, x.as<__nv_bfloat16>(), x.stride, static_cast<int>(x.rows),
                         static_cast<int>(x.cols), norm, rows);
  return rows;
}

Fp8Rows CudaOps::quantized_ahead(tensor::View out) {
  if (!has_fp8_weights_ || out.rows <= kSmallRows) return {};
  quantized_ = out.data;
  return {ordered_x_.data(), x_scales_.as<float>()};
}

bool CudaOps::reads_only_fp8(tensor::View x) const {
  const auto found = only_e4m3_.find(x.cols);
  return fp8_gemm_ && found != only_e4m3_.end() && found->second;
}

void CudaOps::library_linear(tensor::View x, const Weight& weight, tensor::View out, bool accumulate) {
  const bool are_quantized = x.data == quantized_;
  quantized_ = nullptr;
  const tensor::View input = ordered(x, weight);
  const auto multiply = [&](const LibraryGemm::Product& product, const LibraryGemm::Operands& operands) {
    gemm_->multiply(product, operands, gemm_workspace_.data(), launch_.stream);
  };
  LibraryGemm::Product product;
  product.m = x.rows;
  // A vocabulary of odd size would have the slowest of kernels: what fills up the weight's rows is zero, and
  // goes to what fills up the rows of `out`.
  product.n =
      padded_rows(weight.out_features) <= out.stride ? padded_rows(weight.out_features) : weight.out_features;
  product.k = x.cols;
  product.x_stride = input.stride;
  product.w_stride = x.cols;
  product.out_stride = out.stride;
  product.out_bf16 = out.dtype == tensor::DType::kBF16;
  product.accumulate = accumulate;
  if (weight.format == WeightFormat::kBF16)
    return multiply(product, {.x = input.data, .w = weight.data.data(), .out = out.data});

  LibraryGemm::Product in_fp8 = product;
  in_fp8.fp8 = true;
  in_fp8.x_stride = x.cols;
  if (weight.format == WeightFormat::kFp8 && fp8_gemm_ && gemm_->can_multiply(in_fp8)) {
    const Fp8Rows rows = rows_in_fp8(x, are_quantized);
    return multiply(in_fp8, {.x = rows.data,
                             .w = weight.data.data(),
                             .x_scales = rows.scales,
                             .w_scales = weight.scales.as<float>(),
                             .out = out.data});
  }
  // Weights made bf16, a part at a time.
  const std::int64_t part =
      static_cast<std::int64_t>(kDequantizedBytes / sizeof(std::uint16_t)) / x.cols / 16 * 16;
  for (std::int64_t first = 0; first < weight.out_features; first += part) {
    product.n = std::min(part, weight.out_features - first);
    launch_dequantize(launch_, weight.format, view_of(weight), static_cast<int>(first),
                      static_cast<int>(product.n), dequantized_.as<__nv_bfloat16>());
    multiply(product, {.x = input.data, .w = dequantized_.data(), .out = out.columns(first, product.n).data});
  }
}

void CudaOps::linear(tensor::View x, const Weight& weight, tensor::View out, bool accumulate) {
  const Path path = path_of(x, weight);
  if (path == Path::kLibrary) return library_linear(x, weight, out, accumulate);
  CHECK(out.dtype == tensor::DType::kF32);
  LinearArgs args;
  args.epilogue = accumulate ? Epilogue::kAdd : Epilogue::kStore;
  args.out = out.as<float>();
  args.out_stride = out.stride;
  own_linear(path, x, weight, args);
}

void CudaOps::linear_add_norm(tensor::View x, const Weight& weight, tensor::View sum, const float* norm,
                              float eps, tensor::View normed) {
  const Path path = path_of(x, weight);
  // A deferred norm saves a kernel, but for FP8, which needs one anyhow: rms_norm() quantises too.
  if (path == Path::kLibrary || (path == Path::kWide && weight.format == WeightFormat::kFp8)) {
    linear(x, weight, sum, /*accumulate=*/true);
    return rms_norm(sum, norm, eps, normed);
  }
  LinearArgs args;
  args.epilogue = Epilogue::kAddNorm;
  args.out = sum.as<float>();
  args.out_stride = sum.stride;
  args.normed = normed.as<__nv_bfloat16>();
  args.normed_stride = normed.stride;
  args.norm = norm;
  args.partials = norm_partials_.as<float>();
  own_linear(path, x, weight, args);
  deferred_ = normed.data;
  deferred_eps_ = eps;
}

void CudaOps::linear_swiglu(tensor::View x, const Weight& weight, tensor::View gate_up, tensor::View out) {
  CHECK(weight.pairs);
  const Path path = path_of(x, weight);
  if (path == Path::kLibrary) {
    library_linear(x, weight, gate_up, /*accumulate=*/false);
    return swiglu(gate_up, out);
  }
  LinearArgs args;
  args.epilogue = Epilogue::kSwiglu;
  args.normed = out.as<__nv_bfloat16>();
  args.normed_stride = out.stride;
  own_linear(path, x, weight, args);
}

}  // namespace pagoda::kernels::cuda

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
static_assert(kSmallRows >= 8);  // finish.cuh: no images of fewer rows
// The library cuts FP8 into tiles of 128 x 128 and nothing else: few of them leave most of the device idle.
constexpr std::int64_t kFewOutputs = 8192;
bool fp8_wide_wins(const Weight& weight, std::int64_t rows) {
  return weight.out_features <= kFewOutputs || rows <= (weight.in_features >= 4096 ? 64 : 32);
}
// With what it saves in norms and SwiGLU of their own, and where the library is not much faster by itself.
bool bf16_wide_wins(const Weight& weight, std::int64_t rows) {
  return rows <= 32 && weight.in_features >= 4096 && weight.in_features <= weight.out_features;
}

bool is_integer(const Weight& weight) {
  return weight.format == WeightFormat::kInt8 || weight.format == WeightFormat::kInt4;
}
// Whether a tensor map can find the rows of x.
bool is_aligned(tensor::View x) {
  return x.stride * sizeof(std::uint16_t) % 16 == 0 && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0;
}

// Calls run(part, first row) for `most` rows of x after the other.
template <typename Run>
void for_parts(std::int64_t rows, std::int64_t most, const __nv_bfloat16* x, const LinearArgs& args,
               Run run) {
  for (std::int64_t first = 0; first < rows; first += most) {
    LinearArgs part = args;
    part.x = x + first * args.x_stride;
    part.m = static_cast<int>(std::min(most, rows - first));
    if (part.out != nullptr) part.out += first * args.out_stride;
    if (part.next.data != nullptr) part.next = args.next.from_row(first);
    if (part.partials != nullptr) part.partials += first * args.partials_a_row;
    if (part.x_norm.partials != nullptr) part.x_norm.partials += first * args.x_norm.partials_a_row;
    run(part, first);
  }
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

CudaOps::Made CudaOps::made_of(tensor::View x, const Weight& weight) const {
  if (made_.view != x.data) return {};
  CHECK(made_.reader == nullptr || made_.reader == &weight);
  return made_;
}

void CudaOps::forget(tensor::View view) {
  if (made_.view == view.data) made_ = {};
}

CudaOps::Path CudaOps::path_of(tensor::View x, const Weight& weight, const DeferredNorm& norm) const {
  const bool library_fp8 = weight.format == WeightFormat::kFp8 && fp8_gemm_;
  const bool library_takes_it = gemm_ != nullptr && (weight.format == WeightFormat::kBF16 || library_fp8);
  if (x.rows <= (library_takes_it ? kSmallRows : small_quantized_rows(weight))) return Path::kSmall;
  const bool wide = wide_ && (weight.format != WeightFormat::kBF16 || is_aligned(x));
  const Path own = wide ? Path::kWide : Path::kSmall;
  // Only FP8 takes a deferred norm to the library: with the scales of its rows.
  if (gemm_ == nullptr || (norm.partials != nullptr && !library_fp8)) return own;
  if (library_fp8 && wide && x.rows <= kOwnQuantizedRows && fp8_wide_wins(weight, x.rows)) return Path::kWide;
  if (weight.format == WeightFormat::kBF16 && wide && bf16_wide_wins(weight, x.rows)) return Path::kWide;
  return !library_takes_it && x.rows <= kOwnQuantizedRows ? own : Path::kLibrary;
}

bool CudaOps::takes_fp8(tensor::View x, const Weight& weight) const {
  if (weight.format != WeightFormat::kFp8) return false;
  const Path path = path_of(x, weight, {});
  // The library wants both dimensions of W to be multiples of 16; others are made bf16 for it.
  return path == Path::kWide || (path == Path::kLibrary && fp8_gemm_ && weight.in_features % 16 == 0 &&
                                 weight.out_features % 16 == 0);
}

Fp8Rows CudaOps::fp8_for(tensor::View out, const Weight* reader) {
  forget(out);
  if (reader == nullptr || !takes_fp8(out, *reader)) return {};
  made_ = {};
  made_.view = out.data;
  made_.reader = reader;
  made_.fp8 = true;
  return fp8_rows();
}

bool CudaOps::makes_images(Path path, const Weight& weight) {
  return path == Path::kSmall || (path == Path::kWide && is_integer(weight));
}

std::byte* CudaOps::next_image() {
  image_turn_ = 1 - image_turn_;
  return wide_images_[image_turn_].data();
}

XRows CudaOps::rows_for(tensor::View out, const Weight* reader) {
  made_ = {};
  // Images of whole fours, and with nothing to fill up.
  if (reader != nullptr && is_integer(*reader) && out.rows <= kFewWideColumns &&
      reader->input_order.size() == 0 && out.cols == image_features(out.cols) &&
      path_of(out, *reader, {}) == Path::kWide) {
    const XRows image = wide_image(reader->format, next_image(), wide_columns(out.rows), out.cols);
    made_.view = out.data;
    made_.reader = reader;
    made_.image = image;
    return image;
  }
  return {out.data, out.stride};
}

tensor::View CudaOps::ordered(tensor::View x, const Weight& weight) {
  if (weight.input_order.size() == 0) return x;
  tensor::View out{ordered_x_.data(), x.rows, x.cols, max_x_columns_, x.dtype};
  launch_permute(launch_, x.as<__nv_bfloat16>(), x.stride, weight.input_order.as<std::int32_t>(),
                 static_cast<int>(x.rows), static_cast<int>(x.cols), out.as<__nv_bfloat16>(), out.stride);
  return out;
}

void CudaOps::own_linear(Path path, const Made& made, tensor::View x, const Weight& weight, LinearArgs args) {
  CHECK(x.cols == weight.in_features);
  args.weight = view_of(weight);
  args.x_norm = made.norm;
  if (path == Path::kWide) return wide_linear(made, x, weight, args);
  const tensor::View input = ordered(x, weight);
  args.x_stride = input.stride;
  for_parts(x.rows, kMaxLinearRows, input.as<__nv_bfloat16>(), args,
            [&](const LinearArgs& part, std::int64_t) { launch_linear(launch_, weight, part); });
}

void CudaOps::wide_linear(const Made& made, tensor::View x, const Weight& weight, LinearArgs args) {
  args.x_stride = x.stride;
  Fp8Rows fp8;
  if (weight.format == WeightFormat::kFp8) fp8 = rows_in_fp8(made, x);
  const auto* order = weight.input_order.size() == 0 ? nullptr : weight.input_order.as<std::int32_t>();
  const int columns = wide_columns(x.rows);
  for_parts(
      x.rows, kMaxWideRows, x.as<__nv_bfloat16>(), args, [&](const LinearArgs& part, std::int64_t first) {
        WideArgs wide{.linear = part, .columns = columns};
        if (fp8.data != nullptr) {
          wide.x = fp8.data + first * x.cols;
          wide.x_scales = fp8.scales + first;
        } else if (weight.format == WeightFormat::kBF16) {
          wide.x = reinterpret_cast<const std::byte*>(part.x);
        } else if (made.image.is_image()) {
          wide.x = made.image.data;
        } else {
          const XRows image = wide_image(weight.format, next_image(), columns, x.cols);
          float* scales =
              columns > kFewWideColumns && part.x_norm.partials != nullptr ? x_scales_.as<float>() : nullptr;
          launch_wide_image(launch_, part, order, image, scales);
          wide.x_scales = scales;
          wide.x = image.data;
        }
        launch_wide_linear(launch_, weight.format, wide);
      });
}

Fp8Rows CudaOps::rows_in_fp8(const Made& made, tensor::View x) {
  if (made.fp8) return fp8_rows();
  launch_quantize_rows(launch_, x.as<__nv_bfloat16>(), x.stride, static_cast<int>(x.rows),
                       static_cast<int>(x.cols), made.norm, fp8_rows());
  return fp8_rows();
}

void CudaOps::library_linear(const Made& made, tensor::View x, const Weight& weight, tensor::View out,
                             bool accumulate) {
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
    const Fp8Rows rows = rows_in_fp8(made, x);
    return multiply(in_fp8, {.x = rows.data,
                             .w = weight.data.data(),
                             .x_scales = rows.scales,
                             .w_scales = weight.scales.as<float>(),
                             .out = out.data});
  }
  CHECK(!made.fp8);
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
  const Made made = made_of(x, weight);
  const Path path = path_of(x, weight, made.norm);
  if (path == Path::kLibrary) return library_linear(made, x, weight, out, accumulate);
  CHECK(out.dtype == tensor::DType::kF32);
  LinearArgs args;
  args.epilogue = accumulate ? Epilogue::kAdd : Epilogue::kStore;
  args.out = out.as<float>();
  args.out_stride = out.stride;
  own_linear(path, made, x, weight, args);
}

void CudaOps::linear_add_norm(tensor::View x, const Weight& weight, tensor::View sum, const float* norm,
                              float eps, tensor::View normed, const Weight* reader) {
  const Made made = made_of(x, weight);
  const Path path = path_of(x, weight, made.norm);
  // A deferred norm saves a kernel, but for FP8, which needs one anyhow: norm_rows() quantises too.
  if (path == Path::kLibrary || (path == Path::kWide && weight.format == WeightFormat::kFp8)) {
    linear(x, weight, sum, /*accumulate=*/true);
    return norm_rows(sum, norm, eps, normed, reader);
  }
  LinearArgs args;
  args.epilogue = Epilogue::kAddNorm;
  args.out = sum.as<float>();
  args.out_stride = sum.stride;
  args.norm = norm;
  args.partials = norm_partials_.as<float>();
  const int of_partial = path == Path::kWide ? rows_a_partial(wide_columns(x.rows)) : 16;
  args.partials_a_row = static_cast<int>((weight.out_features + of_partial - 1) / of_partial);
  args.next = rows_for(normed, makes_images(path, weight) ? reader : nullptr);
  made_.view = normed.data;
  made_.norm = {args.partials, args.partials_a_row, eps};
  own_linear(path, made, x, weight, args);
}

void CudaOps::linear_swiglu(tensor::View x, const Weight& weight, tensor::View gate_up, tensor::View out,
                            const Weight* reader) {
  CHECK(weight.pairs);
  const Made made = made_of(x, weight);
  const Path path = path_of(x, weight, made.norm);
  if (path == Path::kLibrary) {
    library_linear(made, x, weight, gate_up, /*accumulate=*/false);
    return activate_rows(gate_up, out, reader);
  }
  LinearArgs args;
  args.epilogue = Epilogue::kSwiglu;
  args.next = rows_for(out, makes_images(path, weight) ? reader : nullptr);
  own_linear(path, made, x, weight, args);
}

}  // namespace pagoda::kernels::cuda

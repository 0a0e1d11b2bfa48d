#include "kernels/cuda/cuda_ops.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/check.h"
#include "kernels/cuda/fp8_check.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/sample.cuh"
#include "kernels/cuda/tensor_map.h"

namespace pagoda::kernels {

namespace {

// What CUDA tells of a machine without a driver is that the driver is too old.
std::string why_no_gpu(cudaError_t error) {
  int driver = 0;
  if (error != cudaErrorInsufficientDriver || cudaDriverGetVersion(&driver) != cudaSuccess)
    return cudaGetErrorString(error);
  if (driver == 0) return "there is no NVIDIA driver";
  return fmt::format("the NVIDIA driver is one for CUDA {}.{}, and this pagoda needs one for CUDA {}.{}",
                     driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
}

}  // namespace

base::Result<CudaDevice> find_cuda_device(int index) {
  // A kernel that is loaded at its first launch may be loaded in the middle of a capture.
  ::setenv("CUDA_MODULE_LOADING", "EAGER", /*overwrite=*/0);
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess)
    return base::error(base::Code::kFailedPrecondition, "no GPU can be used: {}", why_no_gpu(error));
  if (index < 0 || index >= count)
    return base::error(base::Code::kFailedPrecondition, "there is no GPU {}, {} were found", index, count);
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, index) != cudaSuccess)
    return base::error(base::Code::kFailedPrecondition, "GPU {} does not answer", index);
  CudaDevice device;
  device.name = properties.name;
  device.compute_capability = properties.major * 10 + properties.minor;
  if (device.compute_capability < 80)
    return base::error(
        base::Code::kFailedPrecondition,
        "GPU {} ({}) has compute capability {}.{}; 8.0 (Ampere) is the least that is supported", index,
        device.name, properties.major, properties.minor);
  CUDA_CHECK(cudaSetDevice(index));
  CUDA_CHECK(cudaMemGetInfo(&device.free_bytes, &device.total_bytes));
  return device;
}

base::Result<std::unique_ptr<CudaBackend>> make_cuda_ops(const CudaOptions& options) {
  ASSIGN_OR_RETURN(CudaDevice device, find_cuda_device(options.device));
  return std::unique_ptr<CudaBackend>(std::make_unique<cuda::CudaOps>(options, std::move(device)));
}

namespace cuda {
namespace {

// By `pagoda bench` on an H200: rows up to which linear.cuh is faster than the library, where that takes the
// weights as they are; than linear_wide.cuh, where it does not; and than weights made bf16 for the library,
// where there is no linear_wide.cuh.
constexpr std::int64_t kSmallRows = 16, kSmallQuantizedRows = 64, kOwnQuantizedRows = 256;
static_assert(kOwnQuantizedRows == kMaxWideRows);
constexpr std::size_t kDequantizedBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxWideTiles = std::size_t{1} << 16;  // more than 8 M rows of a weight

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
    view.groups = static_cast<int>((weight.in_features + group - 1) / group);
    const auto chunks = static_cast<unsigned>((group + kInt4Chunk - 1) / kInt4Chunk);
    view.group_shift = group == 32 ? -1 : std::bit_width(std::bit_ceil(chunks)) - 1;
  } else {
    view.scales = weight.scales.as<float>();
  }
  return view;
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

class CudaGraph final : public CudaBackend::Graph {
 public:
  explicit CudaGraph(cudaGraph_t graph) : graph_(graph) {
    CUDA_CHECK(cudaGraphInstantiate(&executable_, graph, 0));
  }
  ~CudaGraph() override {
    cudaGraphExecDestroy(executable_);
    cudaGraphDestroy(graph_);
  }
  cudaGraphExec_t executable() const { return executable_; }

 private:
  cudaGraph_t graph_;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

CudaOps::CudaOps(const CudaOptions& options, CudaDevice device)
    : options_(options), device_(std::move(device)) {
  CUDA_CHECK(cudaStreamCreateWithFlags(&launch_.stream, cudaStreamNonBlocking));
  launch_.overlap = device_.compute_capability >= 90;
  CUDA_CHECK(
      cudaDeviceGetAttribute(&launch_.multiprocessors, cudaDevAttrMultiProcessorCount, options.device));
  for (cudaEvent_t& event : events_) CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  packer_ = std::make_unique<Packer>(options.pack_threads);
  wide_ = device_.compute_capability == 90 && can_describe() && !options.deterministic;
  if (options.deterministic)
    no_gemm_ = "--deterministic";
  else
    gemm_ = LibraryGemm::load(&no_gemm_);
  fp8_gemm_ = gemm_ != nullptr && fp8_products_are_right(*gemm_, launch_);
}

CudaOps::~CudaOps() {
  cudaStreamSynchronize(launch_.stream);
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
  for (cudaEvent_t point : time_points_)
    if (point != nullptr) cudaEventDestroy(point);
  cudaStreamDestroy(launch_.stream);
}

std::string CudaOps::description() const {
  return fmt::format("cuda {}, sm_{}, {}", device_.name, device_.compute_capability,
                     gemm_ != nullptr ? "cuBLASLt" : "no cuBLASLt: " + no_gemm_);
}

tensor::Buffer CudaOps::place(tensor::Buffer host) {
  if (host.size() == 0) return host;
  tensor::Buffer device = arena_.allocate(host.tag(), host.size());
  CUDA_CHECK(cudaMemcpy(device.data(), host.data(), host.size(), cudaMemcpyHostToDevice));
  return device;
}

std::size_t CudaOps::memory_budget_bytes() const {
  std::size_t free = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free;
}

base::Status CudaOps::check_kv_shape(const KvShape& shape, std::int64_t num_heads) const {
  const std::int64_t group = num_heads / shape.num_kv_heads;
  if (shape.head_dim != 64 && shape.head_dim != 128)
    return base::invalid("the GPU kernels know heads of 64 and 128 dimensions, this model has {}",
                         shape.head_dim);
  if (group > 8 || 16 % group != 0)
    return base::invalid("the GPU kernels know 1, 2, 4 or 8 query heads a KV head, this model has {}", group);
  if (shape.block_size < kPageTokens)
    return base::invalid("--block-size is {}, on a GPU it must be at least {}", shape.block_size,
                         kPageTokens);
  return {};
}

std::size_t CudaOps::kv_layer_block_bytes(const KvShape& shape) const {
  return 2 * shape.num_kv_heads * shape.block_size * shape.head_dim * sizeof(std::uint16_t);
}

std::size_t CudaOps::scratch_bytes(const OpsLimits& limits) const {
  const std::size_t splits = splits_of(limits.max_context);
  const std::size_t wide = wide_image_bytes(limits.max_features) + wide_parts_bytes(launch_.multiprocessors) +
                           kMaxWideTiles * sizeof(int);
  return (wide_ ? wide : 0) + (gemm_ != nullptr ? LibraryGemm::kWorkspaceBytes + kDequantizedBytes : 0) +
         std::max<std::size_t>(limits.max_tokens, kMaxWideRows) * sizeof(float) +
         limits.max_tokens * limits.max_features * sizeof(std::uint16_t) +
         limits.max_tokens * (limits.max_features / 16) * sizeof(float) +
         limits.max_sequences * limits.num_heads * splits * (limits.kv.head_dim + 2) * sizeof(float) +
         limits.max_sequences * (limits.kv.num_kv_heads * sizeof(int) + kArgmaxParts * 8 + sizeof(int));
}

void CudaOps::reserve(const OpsLimits& limits) {
  constexpr tensor::MemoryTag kTag = tensor::MemoryTag::kActivations;
  if (gemm_ != nullptr) {
    gemm_workspace_ = arena_.allocate(kTag, LibraryGemm::kWorkspaceBytes);
    dequantized_ = arena_.allocate(kTag, kDequantizedBytes);
  }
  if (wide_) {
    wide_image_ = arena_.allocate(kTag, wide_image_bytes(limits.max_features));
    wide_parts_ = arena_.allocate(kTag, wide_parts_bytes(launch_.multiprocessors));
    wide_arrivals_ = arena_.allocate(kTag, kMaxWideTiles * sizeof(int));
  }
  x_scales_ = arena_.allocate(kTag, std::max<std::size_t>(limits.max_tokens, kMaxWideRows) * sizeof(float));
  max_x_columns_ = limits.max_features;
  ordered_x_ = arena_.allocate(kTag, limits.max_tokens * limits.max_features * sizeof(std::uint16_t));
  norm_partials_ = arena_.allocate(kTag, limits.max_tokens * (limits.max_features / 16) * sizeof(float));
  max_splits_ = splits_of(limits.max_context);
  attention_partials_ = arena_.allocate(
      kTag, limits.max_sequences * limits.num_heads * max_splits_ * (limits.kv.head_dim + 2) * sizeof(float));
  attention_arrivals_ = arena_.allocate(kTag, limits.max_sequences * limits.kv.num_kv_heads * sizeof(int));
  max_sample_rows_ = limits.max_sequences;
  sample_parts_ = arena_.allocate(kTag, max_sample_rows_ * (kArgmaxParts * 8 + sizeof(int)));
}

void CudaOps::embed(std::span<const std::int32_t> tokens, const Weight& embedding, tensor::View out) {
  launch_embed(launch_, embedding.format, view_of(embedding), tokens.data(), static_cast<int>(tokens.size()),
               out.as<float>(), out.stride);
}

void CudaOps::rms_norm(tensor::View x, const float* weight, float eps, tensor::View out) {
  if (out.data == deferred_) deferred_ = nullptr;
  launch_rms_norm(launch_, x.as<float>(), x.stride, weight, eps, static_cast<int>(x.rows),
                  static_cast<int>(x.cols), out.as<__nv_bfloat16>(), out.stride);
}

CudaOps::Path CudaOps::path_of(tensor::View x, const Weight& weight) const {
  const bool as_it_is = gemm_ != nullptr && (weight.format == WeightFormat::kBF16 ||
                                             (weight.format == WeightFormat::kFp8 && fp8_gemm_));
  if (x.rows <= (as_it_is ? kSmallRows : kSmallQuantizedRows)) return Path::kSmall;
  const Path own = wide_ ? Path::kWide : Path::kSmall;
  if (gemm_ == nullptr || x.data == deferred_) return own;
  return !as_it_is && x.rows <= kOwnQuantizedRows ? own : Path::kLibrary;
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
  const std::int64_t partials_a_row = x.cols / 16, out_partials_a_row = (weight.out_features + 15) / 16;
  if (x.data == deferred_) {
    args.x_partials = norm_partials_.as<float>();
    args.eps = deferred_eps_;
  }
  // The image of x is made in the weight's order.
  const tensor::View input = path == Path::kWide ? x : ordered(x, weight);
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
    if (path == Path::kWide)
      wide_linear(weight, part);
    else
      launch_linear(launch_, weight, part);
  }
}

void CudaOps::wide_linear(const Weight& weight, const LinearArgs& args) {
  WideArgs wide;
  wide.linear = args;
  wide.x = {wide_image_.data(), wide_columns(args.m),
            args.x_partials == nullptr ? nullptr : x_scales_.as<float>()};
  wide.parts = wide_parts_.as<float>();
  wide.arrivals = wide_arrivals_.as<int>();
  const auto* order = weight.input_order.size() == 0 ? nullptr : weight.input_order.as<std::int32_t>();
  launch_wide_image(launch_, wide_order(weight.format), args, order, wide.x);
  launch_wide_linear(launch_, weight.format, wide);
}

void CudaOps::library_linear(tensor::View x, const Weight& weight, tensor::View out, bool accumulate) {
  const tensor::View input = ordered(x, weight);
  LibraryGemm::Product product;
  product.m = x.rows;
  product.k = x.cols;
  product.x_stride = input.stride;
  product.w_stride = x.cols;
  product.out_stride = out.stride;
  product.out_bf16 = out.dtype == tensor::DType::kBF16;
  product.accumulate = accumulate;
  if (weight.format == WeightFormat::kBF16) {
    product.n = weight.out_features;
    gemm_->multiply(product, {.x = input.data, .w = weight.data.data(), .out = out.data},
                    gemm_workspace_.data(), launch_.stream);
    return;
  }
  LibraryGemm::Product in_fp8 = product;
  in_fp8.fp8 = true;
  in_fp8.n = weight.out_features;
  in_fp8.x_stride = x.cols;
  if (weight.format == WeightFormat::kFp8 && fp8_gemm_ && gemm_->can_multiply(in_fp8)) {
    launch_quantize_rows(launch_, input.as<__nv_bfloat16>(), input.stride, static_cast<int>(x.rows),
                         static_cast<int>(x.cols), ordered_x_.data(), x_scales_.as<float>());
    gemm_->multiply(in_fp8,
                    {.x = ordered_x_.data(),
                     .w = weight.data.data(),
                     .x_scales = x_scales_.as<float>(),
                     .w_scales = weight.scales.as<float>(),
                     .out = out.data},
                    gemm_workspace_.data(), launch_.stream);
    return;
  }
  const std::int64_t part =
      static_cast<std::int64_t>(kDequantizedBytes / sizeof(std::uint16_t)) / x.cols / 16 * 16;
  for (std::int64_t first = 0; first < weight.out_features; first += part) {
    product.n = std::min(part, weight.out_features - first);
    launch_dequantize(launch_, weight.format, view_of(weight), static_cast<int>(first),
                      static_cast<int>(product.n), dequantized_.as<__nv_bfloat16>());
    gemm_->multiply(product,
                    {.x = input.data, .w = dequantized_.data(), .out = out.columns(first, product.n).data},
                    gemm_workspace_.data(), launch_.stream);
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
  if (path == Path::kLibrary) {
    library_linear(x, weight, sum, /*accumulate=*/true);
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

void CudaOps::swiglu(tensor::View gate_up, tensor::View out) {
  launch_swiglu(launch_, gate_up.as<__nv_bfloat16>(), gate_up.stride, static_cast<int>(out.rows),
                static_cast<int>(out.cols), out.as<__nv_bfloat16>(), out.stride);
}

void CudaOps::gather_rows(tensor::View x, std::span<const std::int32_t> rows, tensor::View out) {
  launch_gather(launch_, x.as<float>(), x.stride, rows.data(), static_cast<int>(rows.size()),
                static_cast<int>(x.cols), out.as<float>(), out.stride);
}

AttentionView CudaOps::attention_view(const AttentionArgs& args, const KvCache& cache,
                                      std::int64_t layer) const {
  AttentionView view;
  view.qkv = args.q.as<float>();
  view.qkv_stride = args.q.stride;
  view.out = args.out.as<__nv_bfloat16>();
  view.out_stride = args.out.stride;
  view.kv.data = cache.block(layer, 0);
  view.kv.block_bytes = static_cast<std::int64_t>(cache.layer_block_bytes);
  view.kv.kv_heads = static_cast<int>(cache.shape.num_kv_heads);
  view.kv.head_dim = static_cast<int>(cache.shape.head_dim);
  view.kv.pages = static_cast<int>(cache.shape.block_size / kPageTokens);
  view.heads = static_cast<int>(args.num_heads);
  view.group = static_cast<int>(args.num_heads / cache.shape.num_kv_heads);
  view.scale_log2 = args.scale * 1.4426950408889634f;
  view.partials = attention_partials_.as<float>();
  view.arrivals = attention_arrivals_.as<int>();
  view.max_splits = static_cast<int>(max_splits_);
  return view;
}

namespace {

void set_rope(const RopeArgs& args, AttentionView& view) {
  view.rope = {args.cos, args.sin, args.q_norm, args.k_norm, args.eps};
}

}  // namespace

void CudaOps::rope_and_write_kv(const RopeArgs& args, const KvCache& cache, std::int64_t layer,
                                const SequenceBatch& sequences) {
  AttentionArgs attention;
  attention.q = args.qkv;
  attention.num_heads = args.num_heads;
  AttentionView view = attention_view(attention, cache, layer);
  set_rope(args, view);
  view.slices = sequences.slices.data();
  launch_rope_and_write(launch_, view, 0, static_cast<int>(sequences.slices.size()),
                        std::max(1, sequences.max_queries));
}

void CudaOps::attention(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                        const SequenceBatch& sequences) {
  AttentionView view = attention_view(args, cache, layer);
  view.slices = sequences.slices.data();
  launch_prefill_attention(launch_, view, 0, static_cast<int>(sequences.slices.size()),
                           std::max(1, sequences.max_queries));
}

void CudaOps::rope_attention(const RopeArgs& rope, const AttentionArgs& args, const KvCache& cache,
                             std::int64_t layer, const SequenceBatch& sequences) {
  AttentionView view = attention_view(args, cache, layer);
  set_rope(rope, view);
  view.slices = sequences.slices.data();
  const int decodes = sequences.num_decodes, others = static_cast<int>(sequences.slices.size()) - decodes;
  if (decodes > 0) launch_decode_attention(launch_, view, decodes, sequences.max_context);
  if (others == 0) return;
  launch_rope_and_write(launch_, view, decodes, others, sequences.max_queries);
  launch_prefill_attention(launch_, view, decodes, others, sequences.max_queries);
}

void CudaOps::upload(void* device, const void* pinned, std::size_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(device, pinned, bytes, cudaMemcpyHostToDevice, launch_.stream));
}

void CudaOps::download(void* pinned, const void* device, std::size_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(pinned, device, bytes, cudaMemcpyDeviceToHost, launch_.stream));
}

void CudaOps::mark(int event) { CUDA_CHECK(cudaEventRecord(events_[event], launch_.stream)); }
void CudaOps::wait(int event) { CUDA_CHECK(cudaEventSynchronize(events_[event])); }
void CudaOps::synchronize() { CUDA_CHECK(cudaStreamSynchronize(launch_.stream)); }

void CudaOps::mark_time(int point) {
  if (time_points_[point] == nullptr) CUDA_CHECK(cudaEventCreate(&time_points_[point]));
  CUDA_CHECK(cudaEventRecord(time_points_[point], launch_.stream));
}

double CudaOps::seconds_between(int first_point, int second_point) {
  float milliseconds = 0;
  CUDA_CHECK(cudaEventElapsedTime(&milliseconds, time_points_[first_point], time_points_[second_point]));
  return milliseconds / 1e3;
}

std::unique_ptr<CudaBackend::Graph> CudaOps::capture(const std::function<void()>& work) {
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamBeginCapture(launch_.stream, cudaStreamCaptureModeThreadLocal));
  work();
  CUDA_CHECK(cudaStreamEndCapture(launch_.stream, &graph));
  return std::make_unique<CudaGraph>(graph);
}

void CudaOps::launch(const Graph& graph) {
  CUDA_CHECK(cudaGraphLaunch(static_cast<const CudaGraph&>(graph).executable(), launch_.stream));
}

void CudaOps::resolve_tokens(std::int32_t* tokens, std::int64_t count, const std::int32_t* sampled) {
  launch_resolve(launch_, tokens, static_cast<int>(count), sampled);
}

void CudaOps::sample(tensor::View logits, const SampleRow* rows, bool all_greedy, std::int32_t* sampled,
                     std::int32_t* out, std::uint32_t* seen) {
  SampleView view;
  view.logits = logits.as<float>();
  view.stride = logits.stride;
  view.vocab = static_cast<int>(logits.cols);
  view.rows = rows;
  view.sampled = sampled;
  view.out = out;
  view.seen = seen;
  view.part_values = sample_parts_.as<float>();
  view.part_tokens = reinterpret_cast<std::int32_t*>(view.part_values + max_sample_rows_ * kArgmaxParts);
  view.arrivals = view.part_tokens + max_sample_rows_ * kArgmaxParts;
  launch_sample(launch_, view, static_cast<int>(logits.rows), all_greedy);
}

void CudaOps::set_seen(std::uint32_t* seen, std::int64_t vocab, std::int32_t slot, const std::int32_t* tokens,
                       std::int64_t count) {
  launch_set_seen(launch_, seen, static_cast<int>(vocab), slot, tokens, static_cast<int>(count));
}

}  // namespace cuda
}  // namespace pagoda::kernels

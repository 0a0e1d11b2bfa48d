#include "kernels/cuda/cuda_ops.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/check.h"
#include "kernels/cuda/fp8_check.h"
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
  // Of the library's kernels a model runs few: all of them would be loaded for a second, and lie in the GPU's
  // memory (380 MB). Before CUDA 12.2 that was the default.
  ::setenv("CUDA_MODULE_LOADING", "LAZY", /*overwrite=*/0);
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
  launch_.same_in_any_batch = options.deterministic;
  CUDA_CHECK(
      cudaDeviceGetAttribute(&launch_.multiprocessors, cudaDevAttrMultiProcessorCount, options.device));
  int shared_bytes = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, options.device));
  launch_.block_shared_bytes = static_cast<std::size_t>(shared_bytes);
  for (cudaEvent_t& event : events_) CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  packer_ = std::make_unique<Packer>(options.pack_threads);
#ifdef PAGODA_WIDE_KERNELS  // built for sm_90a
  wide_ = device_.compute_capability == 90 && can_describe() && !options.deterministic;
#endif
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

Weight CudaOps::pack(const WeightSource& source) { return packer_->pack(source, arena_); }

tensor::Buffer CudaOps::place(tensor::Buffer host) {
  if (host.size() == 0) return host;
  tensor::Buffer device = arena_.allocate(host.tag(), host.size());
  // In the stream of the operators: a plain copy of pageable memory may end behind their back.
  upload(device.data(), host.data(), host.size());
  synchronize();
  return device;
}

std::size_t CudaOps::memory_budget_bytes() const {
  std::size_t free = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free;
}

// `pagoda bench --memory` printed up to 57 MiB of INT4 on an H200, and of FP8 and BF16 from 343 MiB to 1.65
// GiB (bench/results/h200.md): the library's kernels that are tried for small batches stay loaded. Prompts of
// other lengths may load more.
std::size_t CudaOps::driver_bytes(WeightFormat layers) const {
  constexpr std::size_t kOurs = std::size_t{256} << 20, kTried = std::size_t{1792} << 20;
  const bool tries = gemm_ != nullptr && (layers == WeightFormat::kBF16 || layers == WeightFormat::kFp8);
  return tries ? kTried : kOurs;
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
  return 2 * shape.num_kv_heads * (shape.block_size / kPageTokens) *
         kv_page_bytes(shape.format, static_cast<int>(shape.head_dim));
}

std::size_t CudaOps::scratch_bytes(const OpsLimits& limits) const {
  const std::size_t splits = splits_of(limits.max_context);
  return (wide_ ? 2 * wide_image_bytes(limits.max_features) : 0) +
         (gemm_ != nullptr ? LibraryGemm::kWorkspaceBytes + kDequantizedBytes : 0) +
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
  if (wide_)
    for (tensor::Buffer& image : wide_images_)
      image = arena_.allocate(kTag, wide_image_bytes(limits.max_features));
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
  norm_rows(x, weight, eps, out, /*reader=*/nullptr);
}

void CudaOps::norm_rows(tensor::View x, const float* weight, float eps, tensor::View out,
                        const Weight* reader) {
  launch_rms_norm(launch_, x.as<float>(), x.stride, weight, eps, static_cast<int>(x.rows),
                  static_cast<int>(x.cols), out.as<__nv_bfloat16>(), out.stride, fp8_for(out, reader));
}

void CudaOps::swiglu(tensor::View gate_up, tensor::View out) {
  activate_rows(gate_up, out, /*reader=*/nullptr);
}

void CudaOps::activate_rows(tensor::View gate_up, tensor::View out, const Weight* reader) {
  launch_swiglu(launch_, gate_up.as<__nv_bfloat16>(), gate_up.stride, static_cast<int>(out.rows),
                static_cast<int>(out.cols), out.as<__nv_bfloat16>(), out.stride, fp8_for(out, reader));
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
  view.out = {args.out.data, args.out.stride};
  view.kv.data = cache.block(layer, 0);
  view.kv.block_bytes = static_cast<std::int64_t>(cache.layer_block_bytes);
  view.kv.format = cache.shape.format;
  view.kv.page_bytes = kv_page_bytes(cache.shape.format, static_cast<int>(cache.shape.head_dim));
  view.kv.kv_heads = static_cast<int>(cache.shape.num_kv_heads);
  view.kv.head_dim = static_cast<int>(cache.shape.head_dim);
  view.kv.page_bits = std::countr_zero(static_cast<std::uint64_t>(cache.shape.block_size / kPageTokens));
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
                        std::max(1, sequences.max_queries), /*queries=*/true);
}

void CudaOps::attention(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                        const SequenceBatch& sequences) {
  AttentionView view = attention_view(args, cache, layer);
  forget(args.out);
  view.slices = sequences.slices.data();
  launch_prefill_attention(launch_, view, 0, static_cast<int>(sequences.slices.size()),
                           std::max(1, sequences.max_queries));
}

void CudaOps::rope_attention(const RopeArgs& rope, const AttentionArgs& args, const KvCache& cache,
                             std::int64_t layer, const SequenceBatch& sequences) {
  AttentionView view = attention_view(args, cache, layer);
  set_rope(rope, view);
  view.slices = sequences.slices.data();
  view.first_blocks = sequences.first_blocks;
  const int decodes = sequences.num_decodes, others = static_cast<int>(sequences.slices.size()) - decodes;
  view.out = rows_for(args.out, others == 0 ? args.reader : nullptr);
  if (decodes > 0) launch_decode_attention(launch_, view, decodes, sequences.max_context);
  if (others == 0) return;
  launch_rope_and_write(launch_, view, decodes, others, sequences.max_queries, /*queries=*/false);
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
  CUDA_CHECK(cudaStreamSynchronize(launch_.stream));
  // Relaxed: a kernel may be loaded by its first launch, and products are measured, in the middle of it.
  CUDA_CHECK(cudaStreamBeginCapture(launch_.stream, cudaStreamCaptureModeRelaxed));
  // What is recorded is worth measuring: it runs again and again, for the same few shapes.
  if (gemm_ != nullptr) gemm_->measure(dequantized_.data(), dequantized_.size());
  work();
  if (gemm_ != nullptr) gemm_->measure(nullptr, 0);
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

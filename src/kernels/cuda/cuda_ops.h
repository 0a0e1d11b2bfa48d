#pragma once
// The CUDA backend: state shared by its operators. One instance a model, one thread.

#include <memory>

#include "kernels/cuda/attention_args.cuh"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/library_gemm.h"
#include "kernels/cuda/linear_args.cuh"
#include "kernels/cuda/pack.h"
#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/wide_args.cuh"

namespace pagoda::kernels::cuda {

// As the kernels see a packed weight.
WeightView view_of(const Weight& weight);

class CudaOps final : public CudaBackend {
 public:
  CudaOps(const CudaOptions& options, CudaDevice device);
  ~CudaOps() override;

  std::string description() const override;
  tensor::DType linear_input_dtype() const override { return tensor::DType::kBF16; }
  tensor::Buffer allocate(tensor::MemoryTag tag, std::size_t bytes) override {
    return arena_.allocate(tag, bytes);
  }
  tensor::Buffer place(tensor::Buffer host) override;
  bool on_device() const override { return true; }
  bool same_in_any_batch() const override { return launch_.same_in_any_batch; }
  std::size_t memory_budget_bytes() const override;
  std::size_t driver_bytes(WeightFormat layers) const override;
  Weight pack(const WeightSource& source) override;
  std::size_t kv_layer_block_bytes(const KvShape& shape) const override;
  base::Status check_kv_shape(const KvShape& shape, std::int64_t num_heads) const override;
  std::size_t scratch_bytes(const OpsLimits& limits) const override;
  void reserve(const OpsLimits& limits) override;

  void embed(std::span<const std::int32_t> tokens, const Weight& embedding, tensor::View out) override;
  void rms_norm(tensor::View x, const float* weight, float eps, tensor::View out) override;
  void linear(tensor::View x, const Weight& weight, tensor::View out, bool accumulate) override;
  void rope_and_write_kv(const RopeArgs& args, const KvCache& cache, std::int64_t layer,
                         const SequenceBatch& sequences) override;
  void attention(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                 const SequenceBatch& sequences) override;
  void swiglu(tensor::View gate_up, tensor::View out) override;
  void gather_rows(tensor::View x, std::span<const std::int32_t> rows, tensor::View out) override;
  void linear_add_norm(tensor::View x, const Weight& weight, tensor::View sum, const float* norm, float eps,
                       tensor::View normed, const Weight* reader) override;
  void linear_swiglu(tensor::View x, const Weight& weight, tensor::View gate_up, tensor::View out,
                     const Weight* reader) override;
  void rope_attention(const RopeArgs& rope, const AttentionArgs& args, const KvCache& cache,
                      std::int64_t layer, const SequenceBatch& sequences) override;

  tensor::Buffer allocate_pinned(std::size_t bytes) override { return cuda::allocate_pinned(bytes); }
  void upload(void* device, const void* pinned, std::size_t bytes) override;
  void download(void* pinned, const void* device, std::size_t bytes) override;
  void mark(int event) override;
  void wait(int event) override;
  void synchronize() override;
  void mark_time(int point) override;
  double seconds_between(int first_point, int second_point) override;
  std::unique_ptr<Graph> capture(const std::function<void()>& work) override;
  void launch(const Graph& graph) override;
  void resolve_tokens(std::int32_t* tokens, std::int64_t count, const std::int32_t* sampled) override;
  void sample(tensor::View logits, const SampleRow* rows, bool all_greedy, std::int32_t* sampled,
              std::int32_t* out, std::uint32_t* seen) override;
  void set_seen(std::uint32_t* seen, std::int64_t vocab, std::int32_t slot, const std::int32_t* tokens,
                std::int64_t count) override;
  const CudaDevice& device() const override { return device_; }
  double measure_read_bytes_per_second() override;
  double measure_bf16_operations_per_second() override;

 private:
  // Who computes x W^T: our kernels, 64 rows of x at a time (linear.cuh) or 256 (linear_wide.cuh), or the
  // library.
  enum class Path { kSmall, kWide, kLibrary };
  static constexpr std::size_t kDequantizedBytes = std::size_t{64} << 20;  // W made bf16, a part at a time
  // What the operator that made a view's values has left for the linear operators that read it.
  struct Made {
    const std::byte* view = nullptr;  // whose data
    const Weight* reader = nullptr;   // if they are not in the view, but as this weight's product reads them:
    bool fp8 = false;                 // as e4m3 in ordered_x_ and x_scales_,
    XRows image;                      // or as an image
    DeferredNorm norm;                // that they still want
  };
  Made made_of(tensor::View x, const Weight& weight) const;
  // The view has been written to, as it is.
  void forget(tensor::View view);
  // norm: of x, if it is deferred.
  Path path_of(tensor::View x, const Weight& weight, const DeferredNorm& norm) const;
  // Whether the product reads x in e4m3.
  bool takes_fp8(tensor::View x, const Weight& weight) const;
  // Where to leave `out` in e4m3, and nowhere else, if its reader takes that.
  Fp8Rows fp8_for(tensor::View out, const Weight* reader);
  // Whether that kernel can leave an image to its reader.
  static bool makes_images(Path path, const Weight& weight);
  // Where to leave `out`: in an image if its reader takes that, or in the view.
  XRows rows_for(tensor::View out, const Weight* reader);
  // By our kernels, with what the epilogue makes of it.
  void own_linear(Path path, const Made& made, tensor::View x, const Weight& weight, LinearArgs args);
  void wide_linear(const Made& made, tensor::View x, const Weight& weight, LinearArgs args);
  // bf16 weights, or parts of others made bf16, in the library.
  void library_linear(const Made& made, tensor::View x, const Weight& weight, tensor::View out,
                      bool accumulate);
  void norm_rows(tensor::View x, const float* weight, float eps, tensor::View out, const Weight* reader);
  void activate_rows(tensor::View gate_up, tensor::View out, const Weight* reader);
  // Where rows in e4m3 lie.
  Fp8Rows fp8_rows() { return {ordered_x_.data(), x_scales_.as<float>()}; }
  // x in e4m3, with the scales of its deferred norm.
  Fp8Rows rows_in_fp8(const Made& made, tensor::View x);
  // The other of two images than that of the operator before.
  std::byte* next_image();
  // x with its columns in the order of the weight's.
  tensor::View ordered(tensor::View x, const Weight& weight);
  AttentionView attention_view(const AttentionArgs& args, const KvCache& cache, std::int64_t layer) const;

  CudaOptions options_;
  CudaDevice device_;
  DeviceArena arena_;
  Launcher launch_;
  std::unique_ptr<Packer> packer_;
  std::string no_gemm_;  // why there is no library
  std::unique_ptr<LibraryGemm> gemm_;
  bool wide_ = false;      // whether linear_wide.cuh's kernels run here
  bool fp8_gemm_ = false;  // whether the library multiplies e4m3, with a scale a row
  cudaEvent_t events_[kEvents] = {};
  cudaEvent_t time_points_[kTimePoints] = {};  // made when first used
  // Scratch.
  tensor::Buffer gemm_workspace_, dequantized_, ordered_x_, norm_partials_, attention_partials_,
      attention_arrivals_, sample_parts_, x_scales_, wide_images_[2];
  int image_turn_ = 0;
  std::int64_t max_splits_ = 1, max_sample_rows_ = 0, max_x_columns_ = 0;
  Made made_;  // by the last operator that left something
};

}  // namespace pagoda::kernels::cuda

#pragma once
// The CPU backend: state shared by its operators. One instance per model; not thread-safe, forks over its own
// pool.

#include <vector>

#include "base/thread_pool.h"
#include "kernels/cpu/isa.h"
#include "kernels/ops.h"

namespace pagoda::kernels::cpu {

class CpuOps final : public Ops {
 public:
  explicit CpuOps(const CpuOptions& options);

  std::string description() const override;
  Weight pack(const WeightSource& source) override;
  std::size_t kv_layer_block_bytes(const KvShape& shape) const override;
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

 private:
  // Rows handed out so that each thread gets about two shares.
  std::size_t row_chunk(std::int64_t rows) const;
  // The rows of a linear input in the form that the weight's kernel reads, in input_scratch_.
  void convert_input(tensor::View x, const Weight& weight, const PanelKernels& kernels);
  void convert_row(const float* x, const Weight& weight, const PanelKernels& kernels, std::byte* out) const;
  std::int64_t panels_at_once(const Weight& weight, std::int64_t rows) const;
  void linear_panels(const Weight& weight, tensor::View out, bool accumulate, std::int64_t begin,
                     std::int64_t end) const;
  void linear_grouped(const Weight& weight, tensor::View out, bool accumulate, std::int64_t begin,
                      std::int64_t end) const;
  void linear_fp8(const Weight& weight, tensor::View out, bool accumulate, std::int64_t begin,
                  std::int64_t end) const;

  Isa isa_;
  base::ThreadPool threads_;
  tensor::Buffer input_scratch_;  // [max rows, widest input] in the kernel's format
  std::size_t input_stride_ = 0;  // bytes
  std::int64_t input_rows_ = 0;
  tensor::Buffer ordered_input_;  // float [threads, widest input]: a row in a weight's input_order
  std::int64_t max_features_ = 0;
  tensor::Buffer attention_scratch_;  // [threads, attention_stride_]
  std::size_t attention_stride_ = 0;
};

}  // namespace pagoda::kernels::cpu

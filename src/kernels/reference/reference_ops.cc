// The oracle: every operator as its formula, in float, one loop after another. Nothing here is tuned.

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "kernels/ops.h"
#include "tensor/dtype.h"

namespace pagoda::kernels {
namespace {

using tensor::View;

class ReferenceOps final : public Ops {
 public:
  std::string description() const override { return "reference (float, 1 thread)"; }

  // Row-major float whatever the source format: rows are dequantised, BF16 ones rounded as they would be
  // stored.
  Weight pack(const WeightSource& source) override {
    Weight weight;
    weight.format = source.format;
    weight.out_features = source.out_features;
    weight.in_features = source.in_features;
    weight.group_size = source.group_size;
    weight.data =
        tensor::Buffer(tensor::MemoryTag::kWeights, source.out_features * source.in_features * sizeof(float));
    for (std::int64_t row = 0; row < source.out_features; ++row)
      dequantize_row(source, row, weight.data.as<float>() + row * source.in_features);
    return weight;
  }

  // [2 (k, v), num_kv_heads, block_size, head_dim] floats
  std::size_t kv_layer_block_bytes(const KvShape& shape) const override {
    return 2 * shape.num_kv_heads * shape.block_size * shape.head_dim * sizeof(float);
  }
  std::size_t scratch_bytes(const OpsLimits&) const override { return 0; }
  void reserve(const OpsLimits&) override {}

  void embed(std::span<const std::int32_t> tokens, const Weight& embedding, View out) override {
    for (std::size_t t = 0; t < tokens.size(); ++t)
      std::copy_n(weight_row(embedding, tokens[t]), out.cols, out.row(t));
  }

  void rms_norm(View x, const float* weight, float eps, View out) override {
    for (std::int64_t t = 0; t < x.rows; ++t) normalize(x.row(t), weight, eps, x.cols, out.row(t));
  }

  void linear(View x, const Weight& weight, View out, bool accumulate) override {
    for (std::int64_t t = 0; t < x.rows; ++t)
      for (std::int64_t n = 0; n < weight.out_features; ++n) {
        const float* w = weight_row(weight, n);
        double sum = 0;
        for (std::int64_t k = 0; k < x.cols; ++k) sum += static_cast<double>(x.row(t)[k]) * w[k];
        out.row(t)[n] = static_cast<float>(sum) + (accumulate ? out.row(t)[n] : 0.0f);
      }
  }

  void rope_and_write_kv(const RopeArgs& args, const KvCache& cache, std::int64_t layer,
                         const SequenceBatch& sequences) override {
    const std::int64_t head_dim = cache.shape.head_dim;
    const std::int64_t kv_heads = cache.shape.num_kv_heads;
    for (const SequenceSlice& sequence : sequences.slices)
      for (std::int32_t i = 0; i < sequence.num_queries; ++i) {
        const std::int64_t t = sequence.first_row + i;
        const std::int32_t position = args.positions[t];
        float* row = args.qkv.row(t);
        float* k = row + args.num_heads * head_dim;
        const float* v = k + kv_heads * head_dim;
        for (std::int64_t h = 0; h < args.num_heads; ++h)
          rotate_and_norm(args, position, head_dim, args.q_norm, row + h * head_dim);
        for (std::int64_t h = 0; h < kv_heads; ++h) {
          rotate_and_norm(args, position, head_dim, args.k_norm, k + h * head_dim);
          std::copy_n(k + h * head_dim, head_dim, slot(cache, layer, sequence, /*value=*/false, h, position));
          std::copy_n(v + h * head_dim, head_dim, slot(cache, layer, sequence, /*value=*/true, h, position));
        }
      }
  }

  void attention(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                 const SequenceBatch& sequences) override {
    const std::int64_t head_dim = cache.shape.head_dim;
    const std::int64_t group = args.num_heads / cache.shape.num_kv_heads;
    for (const SequenceSlice& sequence : sequences.slices)
      for (std::int32_t i = 0; i < sequence.num_queries; ++i)
        for (std::int64_t h = 0; h < args.num_heads; ++h) {
          const std::int64_t t = sequence.first_row + i;
          const std::int32_t visible = sequence.context - sequence.num_queries + i + 1;
          const float* q = args.q.row(t) + h * head_dim;
          float* out = args.out.row(t) + h * head_dim;
          std::vector<double> scores(visible);
          double largest = -INFINITY;
          for (std::int32_t p = 0; p < visible; ++p) {
            const float* k = slot(cache, layer, sequence, /*value=*/false, h / group, p);
            double dot = 0;
            for (std::int64_t d = 0; d < head_dim; ++d) dot += static_cast<double>(q[d]) * k[d];
            scores[p] = dot * args.scale;
            largest = std::max(largest, scores[p]);
          }
          double total = 0;
          for (double& score : scores) total += (score = std::exp(score - largest));
          std::fill_n(out, head_dim, 0.0f);
          for (std::int32_t p = 0; p < visible; ++p) {
            const float* v = slot(cache, layer, sequence, /*value=*/true, h / group, p);
            for (std::int64_t d = 0; d < head_dim; ++d)
              out[d] += static_cast<float>(scores[p] / total) * v[d];
          }
        }
  }

  void swiglu(View gate_up, View out) override {
    for (std::int64_t t = 0; t < out.rows; ++t)
      for (std::int64_t i = 0; i < out.cols; ++i) {
        const float gate = gate_up.row(t)[i];
        out.row(t)[i] = gate / (1.0f + std::exp(-gate)) * gate_up.row(t)[out.cols + i];
      }
  }

  void gather_rows(View x, std::span<const std::int32_t> rows, View out) override {
    for (std::size_t i = 0; i < rows.size(); ++i) std::copy_n(x.row(rows[i]), x.cols, out.row(i));
  }

 private:
  static const float* weight_row(const Weight& weight, std::int64_t row) {
    return weight.data.as<float>() + row * weight.in_features;
  }

  static void normalize(const float* x, const float* weight, float eps, std::int64_t n, float* out) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
    const float inverse = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(n) + eps));
    for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * inverse * weight[i];
  }

  static void rotate_and_norm(const RopeArgs& args, std::int32_t position, std::int64_t head_dim,
                              const float* norm, float* x) {
    const std::int64_t half = head_dim / 2;
    const float* cos = args.cos + position * half;
    const float* sin = args.sin + position * half;
    for (std::int64_t i = 0; i < half; ++i) {
      const float a = x[i], b = x[half + i];
      x[i] = a * cos[i] - b * sin[i];
      x[half + i] = b * cos[i] + a * sin[i];
    }
    if (norm != nullptr) normalize(x, norm, args.eps, head_dim, x);
  }

  static float* slot(const KvCache& cache, std::int64_t layer, const SequenceSlice& sequence, bool value,
                     std::int64_t head, std::int32_t position) {
    const std::int64_t block_size = cache.shape.block_size;
    const std::int32_t block = sequence.block_table[position / block_size];
    return reinterpret_cast<float*>(cache.block(layer, block)) +
           (((value ? cache.shape.num_kv_heads : 0) + head) * block_size + position % block_size) *
               cache.shape.head_dim;
  }
};

}  // namespace

std::unique_ptr<Ops> make_reference_ops() { return std::make_unique<ReferenceOps>(); }

}  // namespace pagoda::kernels

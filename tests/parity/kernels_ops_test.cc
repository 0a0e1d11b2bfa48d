// The operators of the CPU backend that have no weight matrix (kernels_linear_test has those that do), in
// every instruction set this machine has, against the reference, on random ragged shapes.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/ops.h"
#include "random_matrix.h"

namespace pagoda::kernels {
namespace {

using tensor::View;

class OpsParity : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Ops> reference_ = make_reference_ops();
  std::unique_ptr<Ops> cpu_ = make_cpu_ops({.threads = 2, .deterministic = false, .isa = GetParam()});
};

TEST_P(OpsParity, NormSwigluGather) {
  Random random(3);
  for (int round = 0; round < 20; ++round) {
    const int rows = random.between(1, 30), cols = 2 * random.between(1, 100);
    Matrix x(rows, cols, 2), weight(1, cols), actual(rows, cols), expected(rows, cols);
    random.fill(x);
    random.fill(weight);
    reference_->rms_norm(x.view, weight.values.data(), 1e-5f, expected.view);
    cpu_->rms_norm(x.view, weight.values.data(), 1e-5f, actual.view);
    EXPECT_LT(relative_error(actual.view, expected.view), 1e-5);

    Matrix gated(rows, cols / 2), gated_expected(rows, cols / 2);
    reference_->swiglu(x.view, gated_expected.view);
    cpu_->swiglu(x.view, gated.view);
    EXPECT_LT(relative_error(gated.view, gated_expected.view), 1e-4);

    const std::vector<std::int32_t> last = {rows - 1, 0};
    Matrix picked(2, cols);
    cpu_->gather_rows(x.view, last, picked.view);
    for (int c = 0; c < cols; ++c) ASSERT_EQ(picked.view.row(0)[c], x.view.row(rows - 1)[c]);
  }
}

// A random step over random sequences, twice: the second continues the first from the cache.
struct Step {
  std::vector<SequenceSlice> slices;
  std::vector<std::int32_t> positions;
};

class AttentionCase {
 public:
  AttentionCase(Random& random, std::int64_t block_size) : random_(random) {
    const int kv_heads = random.between(1, 3), group = random.between(1, 5);
    num_heads_ = kv_heads * group;
    shape_ = {.num_layers = 2,
              .num_kv_heads = kv_heads,
              .head_dim = 16 * random.between(1, 5),
              .block_size = block_size};
    cos_.resize(kMaxContext * shape_.head_dim / 2);
    sin_.resize(cos_.size());
    for (std::size_t i = 0; i < cos_.size(); ++i) {
      cos_[i] = std::cos(0.1f * static_cast<float>(i));
      sin_[i] = std::sin(0.1f * static_cast<float>(i));
    }
    norm_.resize(shape_.head_dim);
    for (float& weight : norm_) weight = 1 + 0.3f * random.normal();
    const std::int64_t blocks_each = (kMaxContext + block_size - 1) / block_size;
    num_blocks_ = blocks_each * kSequences;
    std::vector<std::int32_t> ids(num_blocks_);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
    std::shuffle(ids.begin(), ids.end(), std::mt19937(7));
    for (int s = 0; s < kSequences; ++s)
      tables_.emplace_back(ids.begin() + s * blocks_each, ids.begin() + (s + 1) * blocks_each);
    contexts_.assign(kSequences, 0);
  }

  Step next() {
    Step step;
    std::int32_t row = 0;
    for (int s = 0; s < kSequences; ++s) {
      const int queries = random_.between(0, 2) == 0 ? random_.between(1, 90) : 1;
      contexts_[s] += queries;
      step.slices.push_back({row, queries, contexts_[s], tables_[s].data()});
      for (int i = 0; i < queries; ++i) step.positions.push_back(contexts_[s] - queries + i);
      row += queries;
    }
    return step;
  }

  // Runs rope_and_write_kv and attention of the step on `ops`; returns the attention's output.
  Matrix run(Ops& ops, const Step& step, std::byte* memory, const Matrix& qkv_in) const {
    const KvCache cache{shape_, num_blocks_, ops.kv_layer_block_bytes(shape_), memory};
    Matrix qkv(qkv_in), out(qkv.view.rows, num_heads_ * shape_.head_dim);
    RopeArgs rope;
    rope.qkv = qkv.view;
    rope.num_heads = num_heads_;
    rope.positions = step.positions.data();
    rope.cos = cos_.data();
    rope.sin = sin_.data();
    rope.q_norm = norm_.data();
    rope.k_norm = norm_.data();
    rope.eps = 1e-5f;
    ops.rope_and_write_kv(rope, cache, /*layer=*/1, {.slices = step.slices});
    AttentionArgs attention;
    attention.q = qkv.view.columns(0, num_heads_ * shape_.head_dim);
    attention.out = out.view;
    attention.num_heads = num_heads_;
    attention.scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
    ops.attention(attention, cache, /*layer=*/1, {.slices = step.slices});
    return out;
  }

  std::size_t cache_bytes(const Ops& ops) const {
    return shape_.num_layers * num_blocks_ * ops.kv_layer_block_bytes(shape_);
  }
  std::int64_t qkv_columns() const { return (num_heads_ + 2 * shape_.num_kv_heads) * shape_.head_dim; }
  OpsLimits limits() const {
    return {.max_tokens = 400, .max_features = 16, .num_heads = num_heads_, .kv = shape_};
  }

  static constexpr int kSequences = 4;
  static constexpr std::int64_t kMaxContext = 400;

 private:
  Random& random_;
  std::int64_t num_heads_;
  KvShape shape_;
  std::int64_t num_blocks_;
  std::vector<float> cos_, sin_, norm_;
  std::vector<std::vector<std::int32_t>> tables_;
  std::vector<std::int32_t> contexts_;
};

TEST_P(OpsParity, RopeAndPagedAttention) {
  Random random(4);
  for (const std::int64_t block_size : {8, 16, 32, 64, 128, 512}) {
    AttentionCase attention(random, block_size);
    cpu_->reserve(attention.limits());
    // NaN everywhere: nothing outside a sequence's tokens may be used.
    std::vector<std::byte> reference_memory(attention.cache_bytes(*reference_), std::byte{0xff});
    std::vector<std::byte> cpu_memory(attention.cache_bytes(*cpu_), std::byte{0xff});
    for (int round = 0; round < 4; ++round) {
      SCOPED_TRACE(fmt::format("block size {} round {}", block_size, round));
      const Step step = attention.next();
      Matrix qkv(static_cast<std::int64_t>(step.positions.size()), attention.qkv_columns(), 4);
      random.fill(qkv);
      const Matrix expected = attention.run(*reference_, step, reference_memory.data(), qkv);
      const Matrix actual = attention.run(*cpu_, step, cpu_memory.data(), qkv);
      EXPECT_LT(relative_error(actual.view, expected.view), 0.1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, OpsParity, ::testing::Values("sse4", "avx2", "avx512", "avx512-bf16", "amx"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace pagoda::kernels

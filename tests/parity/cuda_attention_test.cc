// Rotary embedding, cache and attention of the CUDA backend against the reference: random steps of decodes
// and prompts over scattered blocks, twice, so that the second reads what the first wrote; freed pages full
// of NaN. Keys and values in every format.

#include <algorithm>
#include <tuple>

#include "cuda_on_device.h"

namespace pagoda::kernels {
namespace {

using tensor::DType;
using tensor::View;

struct Shape {
  std::int64_t heads, kv_heads, head_dim, block_size;
};

double tolerance(KvFormat format) {
  return format == KvFormat::kFp8 ? 5e-2 : format == KvFormat::kInt8 ? 2e-2 : 1.5e-2;
}

// `queries` new tokens behind `context - queries` older ones.
struct Part {
  std::int32_t queries, context;
};

class CudaAttention : public CudaTest, public ::testing::WithParamInterface<std::tuple<Shape, KvFormat>> {
 protected:
  void expect_equal(const std::vector<std::vector<Part>>& steps, const std::vector<std::int32_t>& first_block,
                    std::int32_t num_blocks, bool with_first_blocks);
  void expect_decodes_equal(const std::vector<std::int32_t>& contexts, std::int32_t blocks_each,
                            bool with_first_blocks);
};

// Each sequence has its own run of the shuffled blocks, from its first one on.
void CudaAttention::expect_equal(const std::vector<std::vector<Part>>& steps,
                                 const std::vector<std::int32_t>& first_block, std::int32_t num_blocks,
                                 bool with_first_blocks) {
  const auto [heads, kv_heads, head_dim, block_size] = std::get<0>(GetParam());
  const KvFormat format = std::get<1>(GetParam());
  const KvShape shape{2, kv_heads, head_dim, block_size},
      device_shape{2, kv_heads, head_dim, block_size, format};
  constexpr std::int32_t kLayer = 1, kMaxContext = 1600;
  cuda_->reserve({.max_tokens = 16384,
                  .max_features = heads * head_dim,
                  .num_heads = heads,
                  .kv = device_shape,
                  .max_sequences = static_cast<std::int64_t>(first_block.size()),
                  .max_context = kMaxContext});
  Random random(static_cast<unsigned>(heads * 100 + block_size));

  const std::size_t host_bytes = reference_->kv_layer_block_bytes(shape);
  const std::size_t device_bytes = cuda_->kv_layer_block_bytes(device_shape);
  std::vector<std::byte> host_kv(2 * num_blocks * host_bytes);
  // NaN wherever nothing has been written: of bf16, and of e4m3 and of a float scale.
  std::vector<std::uint16_t> device_kv(2 * num_blocks * device_bytes / 2,
                                       format == KvFormat::kBF16 ? 0x7fc0 : 0x7fff);
  const KvCache host_cache{shape, num_blocks, host_bytes, host_kv.data()};
  const KvCache device_cache{device_shape, num_blocks, device_bytes,
                             reinterpret_cast<std::byte*>(to_device(device_kv))};

  std::vector<float> cos(kMaxContext * head_dim / 2), sin(cos.size()), q_norm(head_dim), k_norm(head_dim);
  for (std::size_t i = 0; i < cos.size(); ++i) {
    const double angle = static_cast<double>(i / (head_dim / 2)) *
                         std::pow(10000.0, -2.0 * static_cast<double>(i % (head_dim / 2)) / head_dim);
    cos[i] = static_cast<float>(std::cos(angle));
    sin[i] = static_cast<float>(std::sin(angle));
  }
  for (float& value : q_norm) value = 1 + 0.2f * random.normal();
  for (float& value : k_norm) value = 1 + 0.2f * random.normal();

  std::vector<std::int32_t> order(num_blocks);
  for (std::int32_t i = 0; i < num_blocks; ++i) order[i] = i;
  for (std::int32_t i = num_blocks - 1; i > 0; --i) std::swap(order[i], order[random.between(0, i)]);
  for (const std::vector<Part>& step : steps) {
    std::int32_t rows = 0;
    for (const Part& part : step) rows += part.queries;
    HostMatrix qkv = random.matrix(rows, (heads + 2 * kv_heads) * head_dim), out(rows, heads * head_dim);
    const View device_qkv = View::of(to_device(qkv.values), rows, qkv.cols, qkv.cols);
    const View device_out{
        reinterpret_cast<std::byte*>(to_device(std::vector<std::uint16_t>(out.values.size()))), rows,
        out.cols, out.cols, DType::kBF16};
    std::vector<SequenceSlice> slices, device_slices;
    std::vector<std::int32_t> positions;
    const std::int32_t* device_order = to_device(order);
    SequenceBatch batch;
    std::int32_t row = 0;
    for (std::size_t s = 0; s < step.size(); ++s) {
      const Part& part = step[s];
      slices.push_back({row, part.queries, part.context, order.data() + first_block[s]});
      device_slices.push_back({row, part.queries, part.context, device_order + first_block[s]});
      for (std::int32_t i = 0; i < part.queries; ++i) positions.push_back(part.context - part.queries + i);
      if (part.queries == 1 && batch.num_decodes == static_cast<std::int32_t>(slices.size()) - 1)
        ++batch.num_decodes;
      else
        batch.max_queries = std::max(batch.max_queries, part.queries);
      batch.max_context = std::max(batch.max_context, part.context);
      row += part.queries;
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    RopeArgs rope{.qkv = qkv.view(),
                  .num_heads = heads,
                  .positions = positions.data(),
                  .cos = cos.data(),
                  .sin = sin.data(),
                  .q_norm = q_norm.data(),
                  .k_norm = k_norm.data(),
                  .eps = 1e-5f};
    AttentionArgs attention{
        .q = qkv.view().columns(0, heads * head_dim), .out = out.view(), .num_heads = heads, .scale = scale};
    batch.slices = slices;
    reference_->rope_attention(rope, attention, host_cache, kLayer, batch);

    rope = {.qkv = device_qkv,
            .num_heads = heads,
            .positions = to_device(positions),
            .cos = to_device(cos),
            .sin = to_device(sin),
            .q_norm = to_device(q_norm),
            .k_norm = to_device(k_norm),
            .eps = 1e-5f};
    attention = {
        .q = device_qkv.columns(0, heads * head_dim), .out = device_out, .num_heads = heads, .scale = scale};
    batch.slices = {to_device(device_slices), device_slices.size()};
    std::vector<std::int32_t> first_blocks(batch.num_decodes * kFirstBlocks);
    for (std::int32_t s = 0; s < batch.num_decodes; ++s)
      copy_first_blocks(order, first_block[s], first_blocks.data() + s * kFirstBlocks);
    if (with_first_blocks) batch.first_blocks = to_device(first_blocks);
    cuda_->rope_attention(rope, attention, device_cache, kLayer, batch);
    const std::vector<float> actual = from_bf16(to_host(device_out.as<std::uint16_t>(), out.values.size()));
    std::int32_t begin = 0;
    for (std::size_t s = 0; s < step.size(); ++s) {
      const auto from = static_cast<std::ptrdiff_t>(begin * out.cols);
      const auto count = static_cast<std::ptrdiff_t>(step[s].queries * out.cols);
      EXPECT_LT(relative_error({actual.begin() + from, actual.begin() + from + count},
                               {out.values.begin() + from, out.values.begin() + from + count}),
                tolerance(format))
          << "context " << step[s].context << ", queries " << step[s].queries;
      begin += step[s].queries;
    }
  }
}

// Prompts of so many tokens, and one more token of each.
void CudaAttention::expect_decodes_equal(const std::vector<std::int32_t>& contexts, std::int32_t blocks_each,
                                         bool with_first_blocks) {
  std::vector<Part> prompts, decodes;
  std::vector<std::int32_t> first_block;
  for (const std::int32_t context : contexts) {
    first_block.push_back(static_cast<std::int32_t>(prompts.size()) * blocks_each);
    prompts.push_back({context, context});
    decodes.push_back({1, context + 1});
  }
  expect_equal({prompts, decodes}, first_block, static_cast<std::int32_t>(prompts.size()) * blocks_each,
               with_first_blocks);
}

TEST_P(CudaAttention, EqualsTheReference) {
  // Prompts first, then decodes and more of the prompts behind them; blocks of 16 are enough.
  expect_equal({{{1, 1}, {77, 77}, {16, 16}, {130, 130}, {700, 700}},
                {{1, 2}, {1, 78}, {1, 17}, {33, 163}, {900, 1600}},
                {{1, 3}, {1, 79}, {1, 18}, {1, 164}}},
               {0, 10, 30, 40, 60}, 400, false);
}

// Decodes at the ends of pages and of the parts that a context is cut into.
TEST_P(CudaAttention, DecodesAtEveryEndEqualTheReference) {
  for (const bool with_first_blocks : {false, true})
    expect_decodes_equal({15, 16, 127, 128, 144, 255, 256, 299, 511, 512}, 36, with_first_blocks);
}

// On an H200 as many decodes as have a block an SM, two, and more: blocks of other numbers of warps.
TEST_P(CudaAttention, ManyDecodesEqualTheReference) {
  if (std::get<0>(GetParam()).kv_heads != 8) return;
  for (const std::int32_t sequences : {17, 34, 67}) {
    std::vector<std::int32_t> contexts;
    for (std::int32_t s = 0; s < sequences; ++s) contexts.push_back(s % 16 == 5 ? 300 : 1 + s * 37 % 170);
    expect_decodes_equal(contexts, 24, /*with_first_blocks=*/true);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, CudaAttention,
    ::testing::Combine(::testing::Values(Shape{16, 4, 128, 16}, Shape{32, 8, 128, 16}, Shape{8, 2, 128, 64},
                                         Shape{8, 8, 64, 16}, Shape{8, 1, 64, 32}, Shape{4, 2, 128, 16}),
                       ::testing::Values(KvFormat::kBF16, KvFormat::kFp8, KvFormat::kInt8)));

}  // namespace
}  // namespace pagoda::kernels

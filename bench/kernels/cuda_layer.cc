// Time of each operator of a decoder layer on a GPU, beside its floor: a graph of one operator over several
// layers (so that no weight is still in L2) is replayed. The head stands for itself. Attention is of as many
// sequences as there are rows, with one new token each.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "model/load_dense.h"
#include "tensor/dtype.h"

namespace pagoda {
namespace {

using kernels::CudaBackend;
using kernels::Weight;
using tensor::View;

struct Limits {
  double read_bytes, bf16_operations;  // a second
};

// All rows alike.
void fill(CudaBackend& cuda, View view) {
  const auto count = static_cast<std::size_t>(view.stride);
  const tensor::Buffer pinned = cuda.allocate_pinned(count * tensor::dtype_bytes(view.dtype));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < count; ++i) {
    const float value = normal(random);
    if (view.dtype == tensor::DType::kF32)
      pinned.as<float>()[i] = value;
    else
      pinned.as<std::uint16_t>()[i] = tensor::to_bfloat16(value).bits;
  }
  for (std::int64_t row = 0; row < view.rows; ++row)
    cuda.upload(view.data + row * pinned.size(), pinned.data(), pinned.size());
  cuda.synchronize();
}

// Microseconds of one of the `count` operators that `work` enqueues; the best of several replays.
double time_each(CudaBackend& cuda, std::size_t count, const std::function<void()>& work) {
  work();  // all kernels are loaded before any is timed
  cuda.synchronize();
  const auto graph = cuda.capture(work);
  constexpr int kReplays = 8;
  double best = 1e9;
  for (int i = 0; i < kReplays; ++i) {
    cuda.mark_time(0);
    cuda.launch(*graph);
    cuda.mark_time(1);
    cuda.mark(0);
    cuda.wait(0);
    if (i > 0) best = std::min(best, cuda.seconds_between(0, 1));
  }
  return best * 1e6 / static_cast<double>(count);
}

// Sequences of `context` tokens, the last of them new, whose blocks lie anywhere in the cache.
class Decodes {
 public:
  Decodes(CudaBackend& cuda, const model::DenseShape& shape, std::int64_t sequences, std::int64_t context)
      : context_(context), rope_(shape.rope_base, shape.head_dim, context, cuda) {
    cache_.shape = {shape.num_layers, shape.num_kv_heads, shape.head_dim, kBlockSize};
    const std::int64_t blocks = (context + kBlockSize - 1) / kBlockSize;
    cache_.num_blocks = blocks * sequences;
    cache_.layer_block_bytes = cuda.kv_layer_block_bytes(cache_.shape);
    memory_ = cuda.allocate(tensor::MemoryTag::kKvCache,
                            shape.num_layers * cache_.num_blocks * cache_.layer_block_bytes);
    cache_.data = memory_.data();
    const auto halves = static_cast<std::int64_t>(cache_.layer_block_bytes / sizeof(std::uint16_t));
    fill(cuda, {cache_.data, shape.num_layers * cache_.num_blocks, halves, halves, tensor::DType::kBF16});

    std::vector<std::int32_t> ids(cache_.num_blocks);
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), std::mt19937(1));
    tables_ = to_device(cuda, ids);
    std::vector<std::int32_t> first(sequences * kernels::kFirstBlocks);
    for (std::int64_t i = 0; i < sequences; ++i)
      kernels::copy_first_blocks(ids, i * blocks, first.data() + i * kernels::kFirstBlocks);
    first_blocks_ = to_device(cuda, first);
    std::vector<kernels::SequenceSlice> slices;
    for (std::int64_t i = 0; i < sequences; ++i)
      slices.push_back({static_cast<std::int32_t>(i), 1, static_cast<std::int32_t>(context),
                        tables_.as<std::int32_t>() + i * blocks});
    slices_ = to_device(cuda, slices);
  }

  void attend(CudaBackend& cuda, const model::DenseShape& shape, const model::DenseLayer& layer,
              std::int64_t index, View qkv, View out, const Weight* reader) const {
    kernels::RopeArgs rope;
    rope.qkv = qkv;
    rope.num_heads = shape.num_heads;
    rope.cos = rope_.cos();
    rope.sin = rope_.sin();
    rope.q_norm = layer.q_norm.as<float>();
    rope.k_norm = layer.k_norm.as<float>();
    rope.eps = shape.rms_norm_eps;
    kernels::AttentionArgs attention;
    attention.q = qkv.columns(0, shape.q_size());
    attention.out = out;
    attention.num_heads = shape.num_heads;
    attention.scale = 0.1f;
    attention.reader = reader;
    const auto rows = static_cast<std::int32_t>(out.rows);
    cuda.rope_attention(rope, attention, cache_, index,
                        {{slices_.as<kernels::SequenceSlice>(), static_cast<std::size_t>(rows)},
                         rows,
                         0,
                         static_cast<std::int32_t>(context_),
                         first_blocks_.as<std::int32_t>()});
  }
  double bytes_of(std::int64_t sequences) const {
    return static_cast<double>(cache_.layer_block_bytes) / kBlockSize *
           static_cast<double>(context_ * sequences);
  }

 private:
  static constexpr std::int64_t kBlockSize = 16;
  template <typename T>
  static tensor::Buffer to_device(CudaBackend& cuda, const std::vector<T>& values) {
    tensor::Buffer host(tensor::MemoryTag::kStaging, values.size() * sizeof(T));
    std::memcpy(host.data(), values.data(), host.size());
    return cuda.place(std::move(host));
  }
  std::int64_t context_;
  model::RopeTable rope_;
  kernels::KvCache cache_;
  tensor::Buffer memory_, tables_, first_blocks_, slices_;
};

class LayerBench {
 public:
  LayerBench(CudaBackend& cuda, const model::DenseWeights& weights, std::int64_t max_rows,
             std::int64_t context)
      : cuda_(cuda),
        weights_(weights),
        workspace_(weights.shape, cuda, max_rows, max_rows),
        decodes_(cuda, weights.shape, max_rows, context),
        limits_{cuda.measure_read_bytes_per_second(), cuda.measure_bf16_operations_per_second()} {
    fmt::print("read {:.2f} TB/s, bf16 products {:.0f} TFLOP/s\n", limits_.read_bytes / 1e12,
               limits_.bf16_operations / 1e12);
    for (const View view :
         {workspace_.hidden, workspace_.normed, workspace_.qkv, workspace_.attended, workspace_.activated})
      fill(cuda_, view);
  }

  void run(std::int64_t rows) {
    const float eps = weights_.shape.rms_norm_eps;
    const View hidden = workspace_.hidden.first_rows(rows), normed = workspace_.normed.first_rows(rows),
               attended = workspace_.attended.first_rows(rows), qkv = workspace_.qkv.first_rows(rows),
               gate_up = workspace_.gate_up.first_rows(rows),
               activated = workspace_.activated.first_rows(rows), logits = workspace_.logits.first_rows(rows);
    const std::vector<model::DenseLayer>& layers = weights_.layers;
    const auto run_qkv = [&](std::size_t i) { cuda_.linear(normed, layers[i].qkv, qkv, false); };
    const auto run_attention = [&](std::size_t i, const Weight* reader) {
      decodes_.attend(cuda_, weights_.shape, layers[i], static_cast<std::int64_t>(i), qkv, attended, reader);
    };
    const auto run_o = [&](std::size_t i, const Weight* reader) {
      cuda_.linear_add_norm(attended, layers[i].o, hidden, layers[i].mlp_norm.as<float>(), eps, normed,
                            reader);
    };
    const auto run_gate_up = [&](std::size_t i, const Weight* reader) {
      cuda_.linear_swiglu(normed, layers[i].gate_up, gate_up, activated, reader);
    };
    const auto run_down = [&](std::size_t i, const Weight* reader) {
      cuda_.linear_add_norm(activated, layers[i].down, hidden, layers[i].input_norm.as<float>(), eps, normed,
                            reader);
    };
    const auto over_layers = [&](auto work) {
      return time_each(cuda_, layers.size(), [&] {
        for (std::size_t i = 0; i < layers.size(); ++i) work(i);
      });
    };
    // Alone, each makes what it reads of x into the form that its kernel wants.
    const model::DenseLayer& first = layers.front();
    print(rows, "o", {&first.o}, 0, over_layers([&](std::size_t i) { run_o(i, nullptr); }));
    print(rows, "qkv", {&first.qkv}, 0, over_layers(run_qkv));
    print(rows, "gate_up", {&first.gate_up}, 0, over_layers([&](std::size_t i) { run_gate_up(i, nullptr); }));
    print(rows, "down", {&first.down}, 0, over_layers([&](std::size_t i) { run_down(i, nullptr); }));
    const double kv_bytes = decodes_.bytes_of(rows);
    print(rows, "attention", {}, kv_bytes, over_layers([&](std::size_t i) { run_attention(i, nullptr); }));
    // As in a step, where whoever makes x does that.
    print(rows, "layer", {&first.qkv, &first.o, &first.gate_up, &first.down}, kv_bytes,
          over_layers([&](std::size_t i) {
            run_qkv(i);
            run_attention(i, &layers[i].o);
            run_o(i, &layers[i].gate_up);
            run_gate_up(i, &layers[i].down);
            run_down(i, i + 1 < layers.size() ? &layers[i + 1].qkv : nullptr);
          }));
    print(rows, "head", {&weights_.head()}, 0,
          time_each(cuda_, 1, [&] { cuda_.linear(normed, weights_.head(), logits, false); }));
  }

 private:
  // What the product of each weight reads, and `bytes` besides.
  void print(std::int64_t rows, const char* name, const std::vector<const Weight*>& weights, double bytes,
             double us) const {
    double operations = 0;
    for (const Weight* weight : weights) {
      bytes += static_cast<double>(weight->bytes());
      operations += 2.0 * static_cast<double>(rows * weight->out_features * weight->in_features);
    }
    const double floor = 1e6 * std::max(bytes / limits_.read_bytes, operations / limits_.bf16_operations);
    fmt::print("{:5} {:9} {:8.1f} us  floor {:7.1f} us  {:4.0f} %  {:5.2f} TB/s  {:4.0f} TFLOP/s\n", rows,
               name, us, floor, 100 * floor / us, bytes / us / 1e6, operations / us / 1e6);
  }

  CudaBackend& cuda_;
  const model::DenseWeights& weights_;
  model::DenseWorkspace workspace_;
  Decodes decodes_;
  Limits limits_;
};

int run(int argc, char** argv) {
  CLI::App app("Times the operators of a layer on the GPU.");
  std::string shape_name = "7b", format = "int4", head_format;
  std::vector<std::int64_t> rows{1, 8, 32, 64, 128, 256};
  std::int64_t layers = 8, context = 160;
  app.add_option("--shape", shape_name, "1.8b or 7b")->capture_default_str();
  app.add_option("--format", format, "bf16, fp8, int8 or int4")->capture_default_str();
  app.add_option("--head-format", head_format, "as --format; INT8 beside integers, else BF16, when left out");
  app.add_option("--rows", rows, "Rows of x")->delimiter(',')->capture_default_str();
  app.add_option("--layers", layers, "Their weights should be several times the L2 cache")
      ->capture_default_str();
  app.add_option("--context", context, "Tokens of a sequence, for attention")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  auto shape = model::named_shape(shape_name);
  auto formats = model::named_formats(format, head_format);
  auto cuda = kernels::make_cuda_ops({});
  for (const base::Status& status : {shape.status(), formats.status(), cuda.status()})
    if (!status.ok()) {
      fmt::print(stderr, "{}\n", status.message());
      return 1;
    }
  shape->num_layers = layers;
  const std::int64_t max_rows = *std::ranges::max_element(rows);
  (*cuda)->reserve(
      {.max_tokens = max_rows,
       .max_features = std::max(shape->intermediate_size, shape->q_size() + 2 * shape->kv_size()),
       .num_heads = shape->num_heads,
       .kv = {1, shape->num_kv_heads, shape->head_dim, 16},
       .max_sequences = max_rows,
       .max_context = context});
  const model::DenseWeights weights = model::random_dense(*shape, *formats, **cuda);
  fmt::print("{} {}\n", shape_name, format);
  LayerBench bench(**cuda, weights, max_rows, context);
  for (const std::int64_t count : rows) bench.run(count);
  return 0;
}

}  // namespace
}  // namespace pagoda

int main(int argc, char** argv) { return pagoda::run(argc, argv); }

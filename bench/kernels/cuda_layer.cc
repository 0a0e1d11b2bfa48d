// Time of each linear operator of a decoder layer on a GPU, beside its floor: a graph of one operator over
// several layers (so that no weight is still in L2) is replayed. The head stands for itself. Attention is not
// in it.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <random>

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

void fill(CudaBackend& cuda, View view) {
  const auto count = static_cast<std::size_t>(view.rows * view.stride);
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
  cuda.upload(view.data, pinned.data(), pinned.size());
  cuda.synchronize();
}

// Microseconds of one of the `count` operators that `work` enqueues; the best of several replays.
double time_each(CudaBackend& cuda, std::size_t count, const std::function<void()>& work) {
  work();  // the library chooses its kernels
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

class LayerBench {
 public:
  LayerBench(CudaBackend& cuda, const model::DenseWeights& weights, std::int64_t max_rows)
      : cuda_(cuda),
        weights_(weights),
        workspace_(weights.shape, cuda, max_rows, max_rows),
        limits_{cuda.measure_read_bytes_per_second(), cuda.measure_bf16_operations_per_second()} {
    fmt::print("read {:.2f} TB/s, bf16 products {:.0f} TFLOP/s\n", limits_.read_bytes / 1e12,
               limits_.bf16_operations / 1e12);
    for (const View view : {workspace_.hidden, workspace_.normed, workspace_.attended, workspace_.activated})
      fill(cuda_, view);
  }

  void run(std::int64_t rows) {
    const float eps = weights_.shape.rms_norm_eps;
    const View hidden = workspace_.hidden.first_rows(rows), normed = workspace_.normed.first_rows(rows),
               attended = workspace_.attended.first_rows(rows), qkv = workspace_.qkv.first_rows(rows),
               gate_up = workspace_.gate_up.first_rows(rows),
               activated = workspace_.activated.first_rows(rows), logits = workspace_.logits.first_rows(rows);
    const auto run_qkv = [&](const model::DenseLayer& l) { cuda_.linear(normed, l.qkv, qkv, false); };
    const auto run_o = [&](const model::DenseLayer& l) {
      cuda_.linear_add_norm(attended, l.o, hidden, l.mlp_norm.as<float>(), eps, normed);
    };
    const auto run_gate_up = [&](const model::DenseLayer& l) {
      cuda_.linear_swiglu(normed, l.gate_up, gate_up, activated);
    };
    const auto run_down = [&](const model::DenseLayer& l) {
      cuda_.linear_add_norm(activated, l.down, hidden, l.input_norm.as<float>(), eps, normed);
    };
    const auto over_layers = [&](auto... operators) {
      return time_each(cuda_, weights_.layers.size(), [&] {
        for (const model::DenseLayer& layer : weights_.layers) (operators(layer), ...);
      });
    };
    const model::DenseLayer& first = weights_.layers.front();
    print(rows, "o", {&first.o}, over_layers(run_o));
    print(rows, "qkv", {&first.qkv}, over_layers(run_qkv));
    print(rows, "gate_up", {&first.gate_up}, over_layers(run_gate_up));
    print(rows, "down", {&first.down}, over_layers(run_down));
    print(rows, "the four", {&first.qkv, &first.o, &first.gate_up, &first.down},
          over_layers(run_qkv, run_o, run_gate_up, run_down));
    print(rows, "head", {&weights_.head()},
          time_each(cuda_, 1, [&] { cuda_.linear(normed, weights_.head(), logits, false); }));
  }

 private:
  void print(std::int64_t rows, const char* name, const std::vector<const Weight*>& weights,
             double us) const {
    double bytes = 0, operations = 0;
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
  Limits limits_;
};

int run(int argc, char** argv) {
  CLI::App app("Times the linear operators of a layer on the GPU.");
  std::string shape_name = "7b", format = "int4", head_format;
  std::vector<std::int64_t> rows{1, 8, 32, 64, 128, 256};
  std::int64_t layers = 8;
  app.add_option("--shape", shape_name, "1.8b or 7b")->capture_default_str();
  app.add_option("--format", format, "bf16, fp8, int8 or int4")->capture_default_str();
  app.add_option("--head-format", head_format, "as --format; INT8 beside integers, else BF16, when left out");
  app.add_option("--rows", rows, "Rows of x")->delimiter(',')->capture_default_str();
  app.add_option("--layers", layers, "Their weights should be several times the L2 cache")
      ->capture_default_str();
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
       .max_context = 256});
  const model::DenseWeights weights = model::random_dense(*shape, *formats, **cuda);
  fmt::print("{} {}\n", shape_name, format);
  LayerBench bench(**cuda, weights, max_rows);
  for (const std::int64_t count : rows) bench.run(count);
  return 0;
}

}  // namespace
}  // namespace pagoda

int main(int argc, char** argv) { return pagoda::run(argc, argv); }

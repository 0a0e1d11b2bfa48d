// A prompt of 512 tokens through Pagoda's model beside oneDNN's bf16 matmul on the same shapes: round by
// round in one process, with the same number of threads. oneDNN multiplies only (its weights in the layout it
// asks for, reordered before the clock starts); Pagoda's time holds everything: norms, rotary embedding,
// attention, cache, logits.
//
//   cmake --build --preset release --target prefill_vs_onednn && build/release/bench/prefill_vs_onednn
//   --shape 1.8b

#include <fmt/core.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <oneapi/dnnl/dnnl.hpp>

#include "execute/runner.h"
#include "model/load_dense.h"

namespace pagoda {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One bf16 matmul [m, k] x [k, n] -> f32, weights pre-packed; inputs are ones, whose values do not matter.
class Matmul {
 public:
  Matmul(const dnnl::engine& engine, dnnl::stream& stream, std::int64_t m, std::int64_t k, std::int64_t n)
      : stream_(stream), operations_(2.0 * static_cast<double>(m * k * n)) {
    using dnnl::memory;
    using Type = memory::data_type;
    const memory::desc a({m, k}, Type::bf16, memory::format_tag::ab);
    const memory::desc any({k, n}, Type::bf16, memory::format_tag::any);
    const memory::desc c({m, n}, Type::f32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc primitive(dnnl::matmul::desc(a, any, c), engine);
    arguments_ = {{DNNL_ARG_SRC, memory(a, engine)},
                  {DNNL_ARG_WEIGHTS, memory(primitive.weights_desc(), engine)},
                  {DNNL_ARG_DST, memory(c, engine)}};
    for (const int argument : {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS}) {
      const memory& operand = arguments_.at(argument);
      auto* values = static_cast<std::uint16_t*>(operand.get_data_handle());
      std::fill_n(values, operand.get_desc().get_size() / sizeof(*values), 0x3f80);
    }
    primitive_ = dnnl::matmul(primitive);
  }
  void run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  double operations() const { return operations_; }

 private:
  dnnl::stream& stream_;
  double operations_;
  std::unordered_map<int, dnnl::memory> arguments_;
  dnnl::matmul primitive_;
};

// Seconds that oneDNN needs for the linear layers of one prompt, each shape measured a few times and counted
// once a layer.
double onednn_seconds(std::vector<Matmul>& shapes, std::int64_t layers) {
  double total = 0;
  for (Matmul& matmul : shapes) {
    matmul.run();
    constexpr int kRuns = 4;
    const double start = now();
    for (int i = 0; i < kRuns; ++i) matmul.run();
    total += (now() - start) / kRuns * static_cast<double>(layers);
  }
  return total;
}

double pagoda_seconds(execute::Runner& runner, std::int32_t tokens) {
  std::vector<std::int32_t> ids(tokens);
  for (std::int32_t i = 0; i < tokens; ++i) ids[i] = 7 * i % 1000;
  std::vector<cache::BlockId> blocks;
  for (std::int32_t b = 0; b < runner.memory().kv_blocks; ++b) blocks.push_back(cache::BlockId(b));
  const schedule::ScheduledSequence part{schedule::SequenceId(1), 0, tokens, /*samples=*/true, ids, blocks};
  const execute::Sampling greedy;
  const execute::StepSequence sequence{&part, {}, &greedy};
  const double start = now();
  runner.step({&sequence, 1});
  return now() - start;
}

int run(const std::string& name, std::int32_t tokens, int threads, int rounds) {
  const auto shape = model::named_shape(name);
  if (!shape.ok()) return fmt::print(stderr, "{}\n", shape.status().message()), 2;
  execute::RunnerOptions options;
  options.max_num_seqs = 1;
  options.max_num_batched_tokens = options.max_model_len = tokens;
  options.num_kv_blocks = (tokens + options.block_size - 1) / options.block_size;
  kernels::CpuOptions cpu;
  cpu.threads = threads;
  auto runner =
      execute::Runner::random(*shape, kernels::WeightFormat::kBF16, kernels::make_cpu_ops(cpu), options);
  if (!runner.ok()) return fmt::print(stderr, "{}\n", runner.status().message()), 1;

  if (threads > 0) omp_set_num_threads(threads);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  std::vector<Matmul> shapes;
  shapes.emplace_back(engine, stream, tokens, shape->hidden_size, shape->q_size() + 2 * shape->kv_size());
  shapes.emplace_back(engine, stream, tokens, shape->q_size(), shape->hidden_size);
  shapes.emplace_back(engine, stream, tokens, shape->hidden_size, 2 * shape->intermediate_size);
  shapes.emplace_back(engine, stream, tokens, shape->intermediate_size, shape->hidden_size);
  double operations = 0;
  for (const Matmul& matmul : shapes)
    operations += matmul.operations() * static_cast<double>(shape->num_layers);

  fmt::print("{} bf16, pp{}, {}\n{:>6} {:>18} {:>18} {:>7}\n", name, tokens, (*runner)->ops().description(),
             "round", "pagoda GFLOP/s", "oneDNN GFLOP/s", "ratio");
  std::vector<double> ratios;
  for (int round = 1; round <= rounds; ++round) {
    const double ours = operations / pagoda_seconds(**runner, tokens) / 1e9;
    const double theirs = operations / onednn_seconds(shapes, shape->num_layers) / 1e9;
    ratios.push_back(ours / theirs);
    fmt::print("{:>6} {:>10.0f} ({:4.0f} tok/s) {:>12.0f} {:>11.2f}\n", round, ours,
               ours * 1e9 / operations * tokens, theirs, ratios.back());
    std::fflush(stdout);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print("median ratio {:.2f}\n", ratios[ratios.size() / 2]);
  return 0;
}

}  // namespace
}  // namespace pagoda

int main(int argc, char** argv) {
  CLI::App app{"Pagoda's prefill beside oneDNN's bf16 matmul"};
  std::string shape = "1.8b";
  std::int32_t tokens = 512;
  int threads = 0, rounds = 3;
  app.add_option("--shape", shape, "1.8b or 7b")->capture_default_str();
  app.add_option("--tokens", tokens, "Prompt length")->check(CLI::Range(1, 8192))->capture_default_str();
  app.add_option("--threads", threads, "0: one a core")->check(CLI::Range(0, 1024))->capture_default_str();
  app.add_option("--rounds", rounds, "Both sides, one after the other")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return pagoda::run(shape, tokens, threads, rounds);
}

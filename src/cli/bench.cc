// pagoda bench: rows like llama-bench's (pp512, tg128) for a model or a shape, each with its floor on this
// machine.

#include <fmt/core.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cli/bench_memory.h"
#include "cli/bench_rows.h"
#include "cli/bench_sockets.h"
#include "cli/bench_streams.h"
#include "cli/engine_flags.h"
#include "cli/verbs.h"
#include "kernels/cpu/limits.h"
#include "kernels/device.h"
#include "model/load_dense.h"

namespace pagoda::cli {
namespace {

struct Flags {
  std::string model, random_weights, format = "bf16", head_format;
  std::vector<std::string> tests = {"pp512", "tg128"};
  std::vector<std::int32_t> batches = {1};
  std::vector<std::int32_t> streams;
  std::int32_t repetitions = 1;
  kernels::DeviceOptions device;
  std::int32_t max_num_batched_tokens = 0;
  bool serve = false;
  bool memory = false;
  bool json = false;
  std::shared_ptr<HubFlags> hub;
};

base::Result<std::unique_ptr<execute::Runner>> make_runner(const Flags& flags,
                                                           const execute::RunnerOptions& options) {
  ASSIGN_OR_RETURN(auto ops, kernels::make_ops(flags.device));
  if (flags.random_weights.empty()) {
    ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint, checkpoint::Checkpoint::open(flags.model));
    return execute::Runner::load(checkpoint, std::move(ops), options, nullptr);
  }
  ASSIGN_OR_RETURN(const model::DenseShape shape, model::named_shape(flags.random_weights));
  ASSIGN_OR_RETURN(const model::WeightFormats formats, model::named_formats(flags.format, flags.head_format));
  return execute::Runner::random(shape, formats, std::move(ops), options);
}

void print_row(const Flags& flags, const std::string& model, const std::string& format, const BenchRow& row) {
  if (flags.json) {
    boost::json::object object = {{"test", row.test},
                                  {"model", model},
                                  {"format", format},
                                  {"batch", row.batch},
                                  {"tokens_per_second", row.tokens_per_second},
                                  {"bytes", row.bytes},
                                  {"operations", row.operations},
                                  {"read_bytes_per_second", row.read_bytes_per_second},
                                  {"floor_tokens_per_second", row.floor_tokens_per_second},
                                  {"fraction", row.fraction()}};
    if (row.gpu_idle_fraction >= 0) object["gpu_idle_fraction"] = row.gpu_idle_fraction;
    fmt::print("{}\n", boost::json::serialize(object));
  } else {
    fmt::print("{:<7} {:>5} {:>12.1f} {:>10.2f} GB {:>14.1f} G {:>12.1f} {:>6.0f} % {:>7.1f} GB/s{}\n",
               row.test, row.batch, row.tokens_per_second, row.bytes / 1e9, row.operations / 1e9,
               row.floor_tokens_per_second, 100 * row.fraction(), row.read_bytes_per_second / 1e9,
               row.gpu_idle_fraction < 0 ? "" : fmt::format(" {:>7.1f} %", 100 * row.gpu_idle_fraction));
  }
  std::fflush(stdout);
}

base::Result<std::unique_ptr<engine::Engine>> load_for_streams(const Flags& flags, bool time_device) {
  if (!flags.random_weights.empty())
    return base::invalid("--streams needs a model with a tokenizer, not --random-weights");
  const std::int32_t most = *std::max_element(flags.streams.begin(), flags.streams.end());
  if (*std::min_element(flags.streams.begin(), flags.streams.end()) < 1 || most > 512)
    return base::invalid("--streams takes numbers from 1 to 512");
  engine::LoadOptions options;
  static_cast<kernels::DeviceOptions&>(options) = flags.device;
  options.engine.runner.max_num_seqs = most;
  options.engine.runner.max_model_len = 512;
  options.engine.time_device = time_device;
  return engine::load_engine(flags.model, options, nullptr);
}

// The same requests with and without sockets between them and the engine.
base::Status run_all_beside_sockets(const Flags& flags) {
  ASSIGN_OR_RETURN(auto engine, load_for_streams(flags, /*time_device=*/false));
  const std::string device = engine->device();
  const std::int32_t most = *std::max_element(flags.streams.begin(), flags.streams.end());
  ASSIGN_OR_RETURN(const auto server, BenchServer::start(std::move(engine), most));
  if (!flags.json)
    fmt::print("{}, {}\n\n{:>8} {:>13} {:>14} {:>8} {:>14} {:>15} {:>8} {:>8}\n", flags.model, device,
               "streams", "engine tok/s", "sockets tok/s", "ratio", "CPU us/token", "with sockets", "TTFT ms",
               "ITL ms");
  for (const std::int32_t streams : flags.streams) {
    ASSIGN_OR_RETURN(const SocketsRow row, server->compare(streams, flags.repetitions));
    if (flags.json)
      fmt::print("{}\n", boost::json::serialize(
                             boost::json::object{{"test", "sockets"},
                                                 {"model", flags.model},
                                                 {"batch", streams},
                                                 {"rounds", flags.repetitions},
                                                 {"engine_tokens_per_second", row.engine_tokens_per_second},
                                                 {"sockets_tokens_per_second", row.sockets_tokens_per_second},
                                                 {"ratio", row.ratio},
                                                 {"engine_cpu_us_per_token", row.engine_cpu_us_per_token},
                                                 {"sockets_cpu_us_per_token", row.sockets_cpu_us_per_token},
                                                 {"median_ttft_ms", row.ttft_ms},
                                                 {"median_itl_ms", row.itl_ms}}));
    else
      fmt::print("{:>8} {:>13.1f} {:>14.1f} {:>6.1f} % {:>14.0f} {:>15.0f} {:>8.1f} {:>8.1f}\n", streams,
                 row.engine_tokens_per_second, row.sockets_tokens_per_second, 100 * row.ratio,
                 row.engine_cpu_us_per_token, row.sockets_cpu_us_per_token, row.ttft_ms, row.itl_ms);
    std::fflush(stdout);
  }
  return {};
}

// Requests through the whole engine; the first row is what the others are compared with.
base::Status run_all_streams(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto engine, load_for_streams(flags, /*time_device=*/false));
  if (!flags.json)
    fmt::print("{}, {}\n\n{:>8} {:>12} {:>8} {:>10}{}\n", flags.model, engine->device(), "streams",
               "tokens/s", "ratio", "KV wasted", engine->on_device() ? "  GPU idle" : "");
  double first = 0;
  for (const std::int32_t streams : flags.streams) {
    StreamsRow best;
    for (std::int32_t i = 0; i < flags.repetitions; ++i) {
      ASSIGN_OR_RETURN(const StreamsRow row, run_streams(*engine, {.streams = streams}));
      if (row.tokens_per_second > best.tokens_per_second) best = row;
    }
    if (first == 0) first = best.tokens_per_second;
    const double ratio = best.tokens_per_second / first;
    if (flags.json) {
      boost::json::object object = {{"test", "streams"},       {"model", flags.model},
                                    {"batch", streams},        {"tokens_per_second", best.tokens_per_second},
                                    {"ratio_to_first", ratio}, {"kv_waste", best.kv_waste}};
      if (engine->on_device()) object["gpu_idle_fraction"] = best.gpu_idle_fraction;
      fmt::print("{}\n", boost::json::serialize(object));
    } else {
      fmt::print("{:>8} {:>12.1f} {:>7.2f}x {:>8.2f} %{}\n", streams, best.tokens_per_second, ratio,
                 100 * best.kv_waste,
                 engine->on_device() ? fmt::format(" {:>7.1f} %", 100 * best.gpu_idle_fraction) : "");
    }
  }
  return {};
}

// Of the device that the runner computes on, for its format.
BenchLimits limits_of(const Flags& flags, execute::Runner& runner) {
  if (auto* cuda = dynamic_cast<kernels::CudaBackend*>(&runner.ops()))
    // Weights of any format are multiplied as BF16.
    return {[read = cuda->measure_read_bytes_per_second()] { return read; },
            cuda->measure_bf16_operations_per_second()};
  auto meter = std::make_shared<kernels::CpuLimitMeter>(flags.device.cpu);
  return {[meter] { return meter->read_bytes_per_second(); },
          meter->operations_per_second(runner.weights().layers.front().qkv.format)};
}

base::Status run(const Flags& flags) {
  if (flags.serve && flags.streams.empty()) return base::invalid("--serve needs --streams");
  if (flags.serve) return run_all_beside_sockets(flags);
  if (!flags.streams.empty()) return run_all_streams(flags);
  std::vector<BenchTest> tests;
  for (const std::string& name : flags.tests) {
    ASSIGN_OR_RETURN(BenchTest test, parse_bench_test(name));
    tests.push_back(std::move(test));
  }
  for (const std::int32_t batch : flags.batches)
    if (batch < 1 || batch > 1024) return base::invalid("batch {} is not between 1 and 1024", batch);
  const std::int32_t largest = *std::max_element(flags.batches.begin(), flags.batches.end());
  ASSIGN_OR_RETURN(const auto runner,
                   make_runner(flags, bench_runner_options(tests, largest, flags.max_num_batched_tokens)));
  if (flags.memory) return run_bench_memory(*runner, flags.json);
  const BenchLimits limits = limits_of(flags, *runner);
  const std::string model = flags.random_weights.empty() ? flags.model : flags.random_weights + " (random)";
  const std::string format(kernels::weight_format_name(runner->weights().layers.front().qkv.format));
  if (!flags.json) {
    fmt::print("{}, {} {}, {}\n", model, format, execute::format_bytes(runner->memory().weights_bytes),
               runner->ops().description());
    fmt::print("multiplying at most: {:.0f} G operations/s; reading: beside each row\n\n",
               limits.operations_per_second / 1e9);
    fmt::print("{:<7} {:>5} {:>12} {:>13} {:>16} {:>12} {:>8} {:>12}{}\n", "test", "batch", "tokens/s",
               "bytes", "operations", "floor tok/s", "reached", "limit read",
               runner->ops().on_device() ? "  GPU idle" : "");
  }
  for (const BenchTest& test : tests)
    for (const std::int32_t batch : flags.batches) {
      const bool prompt = test.kind == BenchTest::Kind::kPrompt;  // measured one at a time
      if (prompt && batch != flags.batches.front()) continue;
      BenchRow best;
      for (std::int32_t i = 0; i < flags.repetitions; ++i) {
        BenchRow row = run_bench(*runner, test, prompt ? test.prompts : batch, limits);
        if (row.tokens_per_second > best.tokens_per_second) best = std::move(row);
      }
      print_row(flags, model, format, best);
    }
  return {};
}

}  // namespace

Verb add_bench(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("bench", "Measure prompt and generation speed against this machine's limits");
  auto flags = std::make_shared<Flags>();
  flags->model = default_model();
  command->add_option("model,--model", flags->model, "Model directory, or ORG/NAME on a hub")
      ->capture_default_str();
  command->add_option("--random-weights", flags->random_weights,
                      "Instead: random weights in a real shape, 1.8b or 7b");
  command->add_option("--format", flags->format, "Of random weights: bf16, int8, int4 or fp8")
      ->check(CLI::IsMember({"bf16", "int8", "int4", "fp8"}))
      ->capture_default_str();
  command
      ->add_option(
          "--head-format", flags->head_format,
          "Of the embedding and head of random weights: bf16 or int8; default: int8 beside int8 and int4")
      ->check(CLI::IsMember({"bf16", "int8"}));
  command
      ->add_option(
          "--tests", flags->tests,
          "ppN: a prompt of N tokens; tgN: N tokens generated; satN: N requests of 128 tokens in and "
          "out at once")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--batches", flags->batches, "Sequences that generate together; of satN, at most so many")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--streams", flags->streams,
                   "Instead of --tests: so many requests at once through the whole engine, e.g. 1,16")
      ->delimiter(',');
  command->add_flag("--memory", flags->memory,
                    "Instead of timing: memory planned, held and resident (fails if they differ by over 3 "
                    "%), or taken from the GPU");
  command->add_flag("--serve", flags->serve,
                    "With --streams: also through a server in this process and sockets, in turns; medians");
  command
      ->add_option("--repetitions", flags->repetitions,
                   "Times each row is run; the best counts, with --serve the median")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command->add_option("--device", flags->device.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command
      ->add_option("--max-num-batched-tokens", flags->max_num_batched_tokens,
                   "Tokens computed in one step; 0: 256 on a CPU, 2048 on a GPU")
      ->check(CLI::Range(0, 65536))
      ->capture_default_str();
  command->add_option("--threads", flags->device.cpu.threads, "CPU threads; 0: one a core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      ->add_option("--cpu-isa", flags->device.cpu.isa,
                   "sse4, avx2, avx512, avx512-bf16 or amx; default: the best there is")
      ->check(CLI::IsMember({"", "sse4", "avx2", "avx512", "avx512-bf16", "amx"}));
  command->add_flag("--json", flags->json, "One JSON object a row");
  flags->hub = add_hub_flags(*command);
  const Verb run_serve = add_bench_serve(*command);
  const CLI::App* serve = command->get_subcommand("serve");
  return [=] {
    if (serve->parsed()) return run_serve();
    if (flags->random_weights.empty()) {
      auto directory = find_model(flags->model, *flags->hub);
      if (!directory.ok()) return fail(directory.status());
      flags->model = *directory;
    }
    const base::Status status = run(*flags);
    return status.ok() ? 0 : fail(status);
  };
}

}  // namespace pagoda::cli

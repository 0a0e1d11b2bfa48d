#include "cli/engine_flags.h"

#include <fmt/core.h>

#include <chrono>

#include "cli/progress.h"
#include "cli/verbs.h"

namespace pagoda::cli {

std::shared_ptr<EngineFlags> add_engine_flags(CLI::App& command, bool positional) {
  auto flags = std::make_shared<EngineFlags>();
  flags->model = default_model();
  execute::RunnerOptions& runner = flags->options.engine.runner;
  command
      .add_option(positional ? "model,--model" : "--model", flags->model,
                  "Directory of a Hunyuan model in Hugging Face's layout, or ORG/NAME on a hub")
      ->capture_default_str();
  command
      .add_option("--device", flags->options.device, "auto, cpu or cuda; auto: the GPU if one can be used")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command.add_option("--gpu", flags->options.cuda.device, "Which GPU, counted from 0")->capture_default_str();
  command
      .add_option("--gpu-memory-utilization", runner.gpu_memory_utilization,
                  "Share of the free GPU memory that weights, KV cache, activations and graphs may take")
      ->check(CLI::Range(0.05, 1.0))
      ->capture_default_str();
  command.add_option("--threads", flags->options.cpu.threads, "CPU threads; 0: one a core")
      ->capture_default_str();
  command
      .add_option(
          "--quantization", flags->quantization,
          "Round what the model directory has as floats while loading: int8, int4 (groups of 128, embedding "
          "INT8) or fp8; none: as BF16. `pagoda quantize` does it better, once")
      ->check(CLI::IsMember({"none", "int8", "int4", "fp8"}))
      ->capture_default_str();
  command.add_option(
      "--kv-cache-memory", flags->kv_cache_memory,
      "Memory of the KV cache, e.g. 4GiB; default: room for --max-num-seqs full sequences, at most a "
      "quarter of what is available, on a GPU all of it");
  command
      .add_option("--kv-cache-dtype", flags->kv_cache_dtype,
                  "Keys and values as bf16, fp8 or int8; the last two need a GPU and halve the KV cache")
      ->check(CLI::IsMember({"bf16", "fp8", "int8"}))
      ->capture_default_str();
  command
      .add_option("--max-model-len", runner.max_model_len,
                  "Tokens of prompt and answer together; 0: the model's limit, at most 8192")
      ->capture_default_str();
  command
      .add_option("--max-num-seqs", runner.max_num_seqs,
                  "Sequences computed in one step; 0: 64 on a CPU, 256 on a GPU")
      ->capture_default_str();
  command
      .add_option("--max-num-batched-tokens", runner.max_num_batched_tokens,
                  "Tokens computed in one step; long prompts are cut into chunks of this size; 0: 256 on a "
                  "CPU, 2048 on a GPU")
      ->capture_default_str();
  command.add_option("--block-size", runner.block_size, "Tokens of a KV block: 8, 16, ... 512")
      ->capture_default_str();
  command
      .add_option("--max-waiting", flags->options.engine.max_waiting,
                  "Requests that may wait for their first step")
      ->capture_default_str();
  command.add_flag("!--no-prefix-caching", flags->options.engine.prefix_caching,
                   "Compute every prompt from its start");
  command.add_flag("--deterministic", flags->options.cpu.deterministic,
                   "The same tokens whatever else is in the batch, to the last bit (no AMX)");
  command
      .add_option("--cpu-isa", flags->options.cpu.isa,
                  "sse4, avx2, avx512, avx512-bf16 or amx; default: the best there is")
      ->check(CLI::IsMember({"", "sse4", "avx2", "avx512", "avx512-bf16", "amx"}));
  flags->hub = add_hub_flags(command);
  return flags;
}

base::Result<engine::LoadOptions> load_options(const EngineFlags& flags) {
  engine::LoadOptions options = flags.options;
  if (options.cpu.threads < 0 || options.cpu.threads > 1024)
    return base::invalid("--threads is {}, it must be from 0 to 1024", options.cpu.threads);
  if (options.engine.max_waiting < 1)
    return base::invalid("--max-waiting is {}, it must be at least 1", options.engine.max_waiting);
  using kernels::WeightFormat;
  for (const WeightFormat format : {WeightFormat::kInt8, WeightFormat::kInt4, WeightFormat::kFp8})
    if (flags.quantization == kernels::weight_format_name(format))
      options.engine.runner.float_format = format;
  using kernels::KvFormat;
  options.engine.runner.kv_format = flags.kv_cache_dtype == "fp8"    ? KvFormat::kFp8
                                    : flags.kv_cache_dtype == "int8" ? KvFormat::kInt8
                                                                     : KvFormat::kBF16;
  if (!flags.kv_cache_memory.empty()) {
    ASSIGN_OR_RETURN(options.engine.runner.kv_cache_bytes, execute::parse_bytes(flags.kv_cache_memory));
    if (options.engine.runner.kv_cache_bytes == 0) return base::invalid("--kv-cache-memory is 0");
  }
  return options;
}

base::Result<std::unique_ptr<engine::Engine>> load(const EngineFlags& flags, bool quiet) {
  ASSIGN_OR_RETURN(const engine::LoadOptions options, load_options(flags));
  ASSIGN_OR_RETURN(const std::string directory, find_model(flags.model, *flags.hub));
  const auto start = std::chrono::steady_clock::now();
  Progress progress(quiet ? "" : "loading " + flags.model);
  auto engine = engine::load_engine(directory, options, [&](double share) { progress.share(share, ""); });
  progress.clear();
  if (!engine.ok() || quiet) return engine;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "{} loaded in {:.1f} s on {}\n{}", flags.model, seconds.count(),
             engine.value()->device(), engine.value()->memory().table());
  return engine;
}

int fail(const base::Status& status) {
  fmt::print(stderr, "pagoda: {}\n", status.message());
  if (status.code() == base::Code::kCancelled) return 130;  // as a shell shows it after Ctrl-C
  return status.code() == base::Code::kInvalidArgument || status.code() == base::Code::kNotFound ? 2 : 1;
}

}  // namespace pagoda::cli

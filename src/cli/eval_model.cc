#include "cli/eval_model.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>

#include "base/last_part.h"
#include "checkpoint/checkpoint.h"
#include "cli/progress.h"
#include "kernels/cpu/limits.h"
#include "kernels/device.h"
#include "model/load_dense.h"

namespace pagoda::cli {
namespace {

// Cache for so many tokens a sequence where the flags do not say: sentences of test sets and their prompts
// have some 60 to 120, and one that is longer makes another wait.
constexpr std::int32_t kKvTokensPerSequence = 384;

// A prompt around a source has about 40 tokens.
constexpr std::int32_t kPromptTokens = 256;

// Prompts of a direction begin with the same 10 to 16 tokens: small blocks let them be shared. A GPU takes
// none under 16.
constexpr std::int32_t kSmallBlocks = 8;

// Decides what the flags leave open: room for the longest line and no more, so that memory_bytes says what
// the test needs.
void fit_to(const std::vector<evaluate::Direction>& directions, const EvalModelOptions& eval, bool gpu,
            std::int64_t max_positions, engine::LoadOptions& options) {
  execute::RunnerOptions& runner = options.engine.runner;
  if (runner.max_model_len == 0) {
    std::size_t longest = 0;
    for (const evaluate::Direction& direction : directions)
      for (const evaluate::TestLine& line : direction.lines) longest = std::max(longest, line.source.size());
    // A token is a byte at least; a line may have another as its context; translate/ allows four tokens of
    // answer for one of source.
    const auto source = static_cast<std::int64_t>(longest);
    const std::int64_t answer = eval.max_tokens > 0 ? eval.max_tokens : 4 * source;
    runner.max_model_len = static_cast<std::int32_t>(
        std::min({kPromptTokens + 2 * source + answer, max_positions, std::int64_t{8192}}));
  }
  if (!eval.block_size_given && !gpu) runner.block_size = kSmallBlocks;
  const std::int64_t sequences =
      runner.max_num_seqs > 0 ? runner.max_num_seqs : execute::default_max_num_seqs(gpu);
  // A block size that the engine will refuse is not ours to divide by.
  if (runner.kv_cache_bytes == 0 && runner.block_size > 0)
    runner.num_kv_blocks = static_cast<std::int32_t>(std::clamp<std::int64_t>(
        std::max(sequences * kKvTokensPerSequence, std::int64_t{2} * runner.max_model_len) /
                runner.block_size +
            1,
        1, std::numeric_limits<std::int32_t>::max()));
}

// Multiplications and additions of a forward pass over `tokens` tokens, `outputs` of which become logits. Of
// attention over the few tokens of a sentence nothing is counted.
double operations(const model::DenseShape& shape, std::int64_t tokens, std::int64_t outputs) {
  return 2 * static_cast<double>(tokens * shape.num_layers) * static_cast<double>(shape.layer_weights()) +
         2 * static_cast<double>(outputs) * static_cast<double>(shape.vocab_size * shape.hidden_size);
}

// The part that needs an engine, which is gone when it returns.
base::Status ask(const ModelSpec& spec, const engine::LoadOptions& load,
                 const std::vector<evaluate::Direction>& directions, const evaluate::AnswerOptions& answers,
                 const EvalModelOptions& options, evaluate::ModelReport& report) {
  Progress loading(options.quiet ? "" : "loading " + spec.name);
  ASSIGN_OR_RETURN(const auto engine, engine::load_engine(spec.directory, load,
                                                          [&](double share) { loading.share(share, ""); }));
  loading.clear();
  report.device = engine->device();
  report.weights_bytes = engine->memory().weights_bytes;
  report.memory_bytes = engine->memory().held_bytes();

  std::size_t lines = 0;
  for (const evaluate::Direction& direction : directions) lines += direction.lines.size();
  Progress translating(options.quiet ? "" : spec.name);
  const auto start = std::chrono::steady_clock::now();
  const auto show = [&](std::size_t done, std::int64_t tokens) {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    translating.share(static_cast<double>(done) / static_cast<double>(lines),
                      fmt::format("{}/{} lines, {:.0f} tokens/s", done, lines,
                                  static_cast<double>(tokens) / seconds.count()));
  };
  ASSIGN_OR_RETURN(report.evaluation, evaluate::evaluate_directions(*engine, directions, answers, show));
  translating.clear();
  if (!options.skills) return {};

  Progress skills(options.quiet ? "" : spec.name + ", skills");
  ASSIGN_OR_RETURN(report.skills, evaluate::measure_skills(
                                      *engine, directions, report.evaluation, answers,
                                      [&](std::size_t done, std::size_t all) {
                                        skills.share(static_cast<double>(done) / static_cast<double>(all),
                                                     fmt::format("{}/{} lines", done, all));
                                      }));
  return {};
}

}  // namespace

base::Result<ModelSpec> find_model_spec(const std::string& text, const EngineFlags& base) {
  ModelSpec spec{text, base, ""};
  std::string model = text;
  for (const char* format : {"none", "int8", "int4", "fp8"})
    if (const std::string ending = std::string("=") + format;
        text.ends_with(ending) && !std::filesystem::is_directory(text)) {
      spec.flags.quantization = format;
      model.resize(text.size() - ending.size());
    }
  spec.flags.model = model;
  ASSIGN_OR_RETURN(spec.directory, find_model(model, *base.hub));
  ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint, checkpoint::Checkpoint::open(spec.directory));
  return spec;
}

base::Result<evaluate::ModelReport> eval_model(const ModelSpec& spec,
                                               const std::vector<evaluate::Direction>& directions,
                                               const EvalModelOptions& options) {
  ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint, checkpoint::Checkpoint::open(spec.directory));
  ASSIGN_OR_RETURN(engine::LoadOptions load, load_options(spec.flags));
  const bool gpu = kernels::chooses_gpu(load);
  fit_to(directions, options, gpu, checkpoint.config().max_position_embeddings, load);
  evaluate::AnswerOptions answers;
  answers.max_tokens = options.max_tokens;
  ASSIGN_OR_RETURN(answers.style,
                   translate::choose_prompt_style(options.style, base::last_part(spec.directory)));
  evaluate::ModelReport report;
  report.model = spec.name;
  report.format = std::string(kernels::weight_format_name(
      model::weight_formats(checkpoint.config(), load.engine.runner.float_format).linear));
  RETURN_IF_ERROR(ask(spec, load, directions, answers, options, report));

  const evaluate::Work& work = report.evaluation.work;
  // The last token of an answer is never computed on, and each answer's first comes from its prompt.
  const auto answered = static_cast<std::int64_t>(report.evaluation.num_lines());
  report.operations_per_second =
      operations(model::shape_of(checkpoint.config()),
                 work.prompt_tokens - work.cached_tokens + work.generated_tokens - answered,
                 work.generated_tokens) /
      work.seconds;
  // Behind the run, when the engine's memory is free again.
  if (!gpu)
    report.int8_operations_per_second =
        kernels::CpuLimitMeter(load.cpu).operations_per_second(kernels::WeightFormat::kInt8);
  return report;
}

}  // namespace pagoda::cli

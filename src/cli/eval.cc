// pagoda eval: test files through the engine, BLEU and chrF per direction, one model beside others.

#include <fmt/core.h>

#include <algorithm>
#include <fstream>

#include "base/last_part.h"
#include "cli/engine_flags.h"
#include "cli/eval_divergence.h"
#include "cli/eval_model.h"
#include "cli/verbs.h"
#include "evaluate/comparison.h"
#include "evaluate/picture.h"
#include "evaluate/report.h"
#include "evaluate/test_file.h"

namespace pagoda::cli {
namespace {

struct Flags {
  std::vector<std::string> tests, directions, compare;
  std::size_t limit = 0;
  bool both_ways = true, divergence = false;
  std::string json, output, svg;
  EvalModelOptions model;
};

// Known before the work, not after it; "app" leaves an old file as it is until then.
base::Status check_writable(const std::string& path) {
  if (!path.empty() && !std::ofstream(path, std::ios::app)) return base::invalid("cannot write {}", path);
  return {};
}

base::Status write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.flush();
  if (!file) return base::error(base::Code::kInternal, "cannot write {}", path);
  return {};
}

// from, to, source, reference, hypothesis: a test file with a column more.
std::string hypotheses_tsv(const std::vector<evaluate::Direction>& directions,
                           const evaluate::Evaluation& evaluation) {
  std::string tsv;
  for (std::size_t d = 0; d < directions.size(); ++d)
    for (std::size_t i = 0; i < directions[d].lines.size(); ++i) {
      const evaluate::TestLine& line = directions[d].lines[i];
      tsv += fmt::format("{}\t{}\t{}\t{}\t{}\n", directions[d].from->code, directions[d].to->code,
                         line.source, line.reference, evaluation.directions[d].hypotheses[i]);
    }
  return tsv;
}

base::Result<std::vector<evaluate::Direction>> read_directions(const Flags& flags) {
  std::vector<evaluate::TestPair> pairs;
  for (const std::string& path : flags.tests) {
    ASSIGN_OR_RETURN(const std::vector<evaluate::TestPair> more, evaluate::read_test_file(path));
    pairs.insert(pairs.end(), more.begin(), more.end());
  }
  std::vector<evaluate::Direction> all = evaluate::make_directions(pairs, flags.both_ways, flags.limit);
  if (flags.directions.empty()) return all;
  std::vector<evaluate::Direction> wanted;
  for (const std::string& pair : flags.directions) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& direction) { return direction.pair() == pair; });
    if (found == all.end()) return base::invalid("--directions: the test files have no {}", pair);
    wanted.push_back(*found);
  }
  return wanted;
}

std::string picture(const std::vector<evaluate::ModelReport>& reports) {
  std::vector<evaluate::PicturePoint> points;
  for (const evaluate::ModelReport& report : reports)
    points.push_back({fmt::format("{} ({})", base::last_part(report.model), report.format),
                      report.weights_bytes, report.evaluation.mean_bleu()});
  const evaluate::Evaluation& first = reports.front().evaluation;
  return evaluate::quality_against_size(
      points, fmt::format("Quality against size: {} lines, {} direction{}", first.num_lines(),
                          first.directions.size(), first.directions.size() == 1 ? "" : "s"));
}

void print(const evaluate::ModelReport& report) {
  fmt::print("{}\n{}", report.model, evaluate::score_table(report));
  if (!report.skills.empty()) fmt::print("\n{}", evaluate::skill_table(report));
  fmt::print("\n");
  std::fflush(stdout);
}

base::Status run_divergence(const Flags& flags, const std::vector<ModelSpec>& specs,
                            const std::vector<evaluate::Direction>& directions) {
  ASSIGN_OR_RETURN(const std::vector<Divergence> models, measure_divergence(specs, directions, flags.model));
  fmt::print("{} tokens of references\n{:>12} {:>14} {:>20} {:>12}  {}\n", models.front().tokens, "weights",
             "cross-entropy", "KL to the first", "same choice", "model");
  boost::json::array rows;
  for (const Divergence& model : models) {
    fmt::print("{:>9.1f} MB {:>14.4f} {:>10.5f} +-{:.5f} {:>10.2f} %  {}\n",
               static_cast<double>(model.weights_bytes) / 1e6, model.cross_entropy, model.divergence,
               2 * model.divergence_error, 100 * model.same_choice, model.model);
    rows.push_back({{"model", model.model},
                    {"weights_bytes", model.weights_bytes},
                    {"tokens", model.tokens},
                    {"cross_entropy", model.cross_entropy},
                    {"kl_divergence", model.divergence},
                    {"kl_divergence_standard_error", model.divergence_error},
                    {"same_choice", model.same_choice}});
  }
  if (flags.json.empty()) return {};
  return write_file(flags.json, evaluate::pretty(boost::json::object{{"divergence", std::move(rows)}}));
}

base::Status run(const Flags& flags, const EngineFlags& engine_flags) {
  ASSIGN_OR_RETURN(const std::vector<evaluate::Direction> directions, read_directions(flags));
  if (flags.model.max_tokens < 0) return base::invalid("--max-tokens is {}", flags.model.max_tokens);
  for (const std::string& path : {flags.json, flags.output, flags.svg}) RETURN_IF_ERROR(check_writable(path));
  // All of them before the work begins.
  std::vector<ModelSpec> specs;
  std::vector<std::string> models = {engine_flags.model};
  models.insert(models.end(), flags.compare.begin(), flags.compare.end());
  for (const std::string& model : models) {
    ASSIGN_OR_RETURN(ModelSpec spec, find_model_spec(model, engine_flags));
    specs.push_back(std::move(spec));
  }

  if (flags.divergence) return run_divergence(flags, specs, directions);
  std::vector<evaluate::ModelReport> reports;
  boost::json::object result;
  boost::json::array comparisons;
  for (const ModelSpec& spec : specs) {
    ASSIGN_OR_RETURN(evaluate::ModelReport report, eval_model(spec, directions, flags.model));
    reports.push_back(std::move(report));
    print(reports.back());
    if (reports.size() == 1) {
      result = evaluate::to_json(reports.front());
      if (!flags.output.empty())
        RETURN_IF_ERROR(write_file(flags.output, hypotheses_tsv(directions, reports.front().evaluation)));
      continue;
    }
    const evaluate::Comparison comparison = evaluate::compare(reports.front(), reports.back());
    fmt::print("{}\n", evaluate::comparison_table(comparison));
    boost::json::object compared = evaluate::to_json(comparison);
    compared["scores"] = evaluate::to_json(reports.back());
    comparisons.push_back(std::move(compared));
  }
  if (!comparisons.empty()) result["comparisons"] = std::move(comparisons);
  if (!flags.json.empty()) RETURN_IF_ERROR(write_file(flags.json, evaluate::pretty(result)));
  if (!flags.svg.empty()) RETURN_IF_ERROR(write_file(flags.svg, picture(reports)));
  return {};
}

}  // namespace

Verb add_eval(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("eval", "Translate test files and score the answers: BLEU and chrF per direction");
  auto flags = std::make_shared<Flags>();
  command
      ->add_option("--test", flags->tests,
                   "Test files: from<TAB>to<TAB>source<TAB>reference a line; several may follow")
      ->required();
  command->add_flag("--both-ways,!--one-way", flags->both_ways,
                    "Also from the references to the sources (the default), or not");
  command->add_option("--directions", flags->directions, "Only these: en-fr,zh-en")->delimiter(',');
  command->add_option(
      "--compare", flags->compare,
      "Other models on the same lines: DIR or ORG/NAME, with =int8, =int4 or =fp8 behind it to "
      "round it while loading; several may follow");
  command->add_flag(
      "--skills", flags->model.skills,
      "Also rates of terms, tags, numbers and placeholders kept, context not told, script, end");
  command->add_flag(
      "--divergence", flags->divergence,
      "Instead of translating: how likely each model finds the references, and how far those of "
      "--compare are from --model in that. On the CPU");
  command->add_option("--limit", flags->limit, "Only the first so many lines of each direction");
  command->add_option("--max-tokens", flags->model.max_tokens,
                      "Tokens of an answer; default: 64, or four for each of the source");
  command->add_option("--json", flags->json, "Write the scores to this file");
  command->add_option("--output", flags->output, "Write the lines with their answers to this file (TSV)");
  command->add_option("--svg", flags->svg, "Write a picture of mean BLEU against the size of the weights");
  command->add_option("--prompt-style", flags->model.style, "hy-mt1.5, hy-mt2 or auto: by the model's name")
      ->capture_default_str();
  command->add_flag("--quiet", flags->model.quiet, "No progress on stderr");
  auto engine_flags = add_engine_flags(*command);
  const CLI::Option* block_size = command->get_option("--block-size");
  return [=] {
    flags->model.block_size_given = block_size->count() > 0;
    const base::Status status = run(*flags, *engine_flags);
    return status.ok() ? 0 : fail(status);
  };
}

}  // namespace pagoda::cli

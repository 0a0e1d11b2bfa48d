// pagoda eval: test files through the engine, BLEU and chrF per direction.

#include <fmt/core.h>

#include <fstream>

#include "cli/engine_flags.h"
#include "cli/eval_model.h"
#include "cli/verbs.h"
#include "evaluate/report.h"
#include "evaluate/test_file.h"

namespace pagoda::cli {
namespace {

struct Flags {
  std::vector<std::string> tests;
  std::size_t limit = 0;
  bool both_ways = true;
  std::string json, output;
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

base::Status run(const Flags& flags, const EngineFlags& engine_flags) {
  std::vector<evaluate::TestPair> pairs;
  for (const std::string& path : flags.tests) {
    ASSIGN_OR_RETURN(const std::vector<evaluate::TestPair> more, evaluate::read_test_file(path));
    pairs.insert(pairs.end(), more.begin(), more.end());
  }
  const std::vector<evaluate::Direction> directions =
      evaluate::make_directions(pairs, flags.both_ways, flags.limit);
  for (const std::string& path : {flags.json, flags.output}) RETURN_IF_ERROR(check_writable(path));

  ASSIGN_OR_RETURN(const evaluate::ModelReport report,
                   eval_model(parse_model_spec(engine_flags.model, engine_flags), directions, flags.model));
  fmt::print("{}", evaluate::score_table(report));
  if (!flags.output.empty())
    RETURN_IF_ERROR(write_file(flags.output, hypotheses_tsv(directions, report.evaluation)));
  if (!flags.json.empty())
    RETURN_IF_ERROR(write_file(flags.json, evaluate::pretty(evaluate::to_json(report))));
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
  command->add_option("--limit", flags->limit, "Only the first so many lines of each direction");
  command->add_option("--max-tokens", flags->model.max_tokens,
                      "Tokens of an answer; default: 64, or four for each of the source");
  command->add_option("--json", flags->json, "Write the scores to this file");
  command->add_option("--output", flags->output, "Write the lines with their answers to this file (TSV)");
  command->add_option("--prompt-style", flags->model.style, "hy-mt1.5, hy-mt2 or auto: by the model's name")
      ->capture_default_str();
  command->add_flag("--quiet", flags->model.quiet, "No progress on stderr");
  auto engine_flags = add_engine_flags(*command);
  return [=] {
    const base::Status status = run(*flags, *engine_flags);
    return status.ok() ? 0 : fail(status);
  };
}

}  // namespace pagoda::cli

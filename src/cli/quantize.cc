// pagoda quantize MODEL OUT --method rtn --bits 8

#include "quantize/round_to_nearest.h"

#include <fmt/core.h>

#include "cli/engine_flags.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace pagoda::cli {
namespace {

struct Flags {
  std::string model, out, method = "rtn";
  int bits = 8;
  std::shared_ptr<HubFlags> hub;
};

int run(const Flags& flags) {
  const auto directory = find_model(flags.model, *flags.hub);
  if (!directory.ok()) return fail(directory.status());
  const auto source = checkpoint::Checkpoint::open(*directory);
  if (!source.ok()) return fail(source.status());
  Progress progress("quantising");
  const auto report =
      quantize::quantize_int8(*source, flags.out, [&](double share) { progress.share(share, ""); });
  progress.clear();
  if (!report.ok()) return fail(report.status());
  fmt::print("{}: {} -> {}, relative error {:.4f}\n", flags.out, execute::format_bytes(report->bytes_before),
             execute::format_bytes(report->bytes_after), report->relative_error);
  return 0;
}

}  // namespace

Verb add_quantize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("quantize", "Write a smaller copy of a model");
  auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->model, "Model directory (BF16, FP16 or FP32), or ORG/NAME on a hub")
      ->required();
  command->add_option("out", flags->out, "New directory")->required();
  command->add_option("--method", flags->method, "rtn: round to nearest, no calibration")
      ->check(CLI::IsMember({"rtn"}))
      ->capture_default_str();
  command->add_option("--bits", flags->bits, "8: INT8 per output channel, symmetric, embedding too")
      ->check(CLI::IsMember({8}))
      ->capture_default_str();
  flags->hub = add_hub_flags(*command);
  return [=] { return run(*flags); };
}

}  // namespace pagoda::cli

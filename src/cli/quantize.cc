// pagoda quantize MODEL OUT: a smaller copy of a model, written once.

#include <fmt/core.h>

#include "cli/calibration_texts.h"
#include "cli/engine_flags.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "quantize/quantize_model.h"
#include "quantize/round_to_nearest.h"

namespace pagoda::cli {
namespace {

struct Flags {
  std::string model, out, method = "gptq", lm_head = "bf16";
  int bits = 4, group_size = 128;
  bool desc_act = false, symmetric = false, asymmetric = false, layers = false;
  quantize::Options options;
  CalibrationFlags calibration;
  std::shared_ptr<HubFlags> hub;
};

base::Result<quantize::Options> options_of(const Flags& flags) {
  quantize::Options options = flags.options;
  const bool eight = flags.bits == 8;
  options.int8_tables = flags.lm_head == "int8";
  options.scheme.bits = flags.bits;
  options.scheme.group_size = flags.group_size;
  options.scheme.symmetric = flags.method != "awq";
  if (flags.symmetric) options.scheme.symmetric = true;
  if (flags.asymmetric) options.scheme.symmetric = false;
  options.gptq.static_groups = !flags.desc_act;
  if (flags.desc_act && flags.method != "gptq") return base::invalid("--desc-act belongs to --method gptq");
  if (flags.method == "rtn") options.method = quantize::Method::kRoundToNearest;
  if (flags.method == "gptq") options.method = quantize::Method::kGptq;
  if (flags.method == "awq") options.method = quantize::Method::kAwq;
  if (flags.method == "awq" && eight) return base::invalid("AWQ's layout has 4 bits; --bits is 8");
  if (flags.method == "fp8") {
    if (flags.lm_head == "int8") return base::invalid("--method fp8 leaves embedding and head as they are");
    options.method = quantize::Method::kFp8;
  }
  if (options.gptq.damping <= 0 || options.gptq.damping > 10)
    return base::invalid("--damping is {}, it must be above 0 and at most 10", options.gptq.damping);
  if (options.threads < 0 || options.threads > 1024)
    return base::invalid("--threads is {}, it must be from 0 to 1024", options.threads);
  return options;
}

void print_layers(const quantize::ModelReport& report) {
  fmt::print(
      "relative error of  q|k|v             o                 gate|up           down\n"
      "(weights, outputs)\n");
  for (std::size_t i = 0; i < report.layers.size(); ++i) {
    const quantize::LayerReport& layer = report.layers[i];
    fmt::print("layer {:<12}", i);
    for (const quantize::MatrixError* error : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down})
      fmt::print(" {:.4f}, {:.4f}  ", error->weights(), error->outputs());
    fmt::print("\n");
  }
}

int print(const std::string& out, std::size_t before, std::size_t after, double error) {
  fmt::print("{}: {} -> {}, relative error {:.4f}\n", out, execute::format_bytes(before),
             execute::format_bytes(after), error);
  return 0;
}

int run(const Flags& flags) {
  const auto options = options_of(flags);
  if (!options.ok()) return fail(options.status());
  const auto directory = find_model(flags.model, *flags.hub);
  if (!directory.ok()) return fail(directory.status());
  const auto source = checkpoint::Checkpoint::open(*directory);
  if (!source.ok()) return fail(source.status());
  Progress progress("quantising");
  if (flags.method == "rtn" && flags.bits == 8) {
    const auto report =
        quantize::quantize_int8(*source, flags.out, [&](double share) { progress.share(share, ""); });
    progress.clear();
    if (!report.ok()) return fail(report.status());
    return print(flags.out, report->bytes_before, report->bytes_after, report->relative_error);
  }
  std::vector<quantize::CalibrationText> texts;
  if (flags.method != "rtn") {
    auto made = calibration_texts(*directory, flags.calibration);
    if (!made.ok()) return fail(made.status());
    texts = std::move(made).value();
  }
  const auto report =
      quantize::quantize_model(*source, flags.out, *options, std::move(texts),
                               [&](double share, const std::string& note) { progress.share(share, note); });
  progress.clear();
  if (!report.ok()) return fail(report.status());
  print_layers(*report);
  const quantize::MatrixError total = report->total();
  if (report->calibration_tokens > 0)
    fmt::print("calibrated on {} tokens, relative error of outputs {:.4f}\n", report->calibration_tokens,
               total.outputs());
  return print(flags.out, report->bytes_before, report->bytes_after, total.weights());
}

}  // namespace

Verb add_quantize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("quantize", "Write a smaller copy of a model");
  auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->model, "Model directory (BF16, FP16 or FP32), or ORG/NAME on a hub")
      ->required();
  command->add_option("out", flags->out, "New directory")->required();
  command
      ->add_option("--method", flags->method,
                   "gptq or awq: fitted to calibration texts; rtn: round to nearest; fp8: 8-bit floats")
      ->check(CLI::IsMember({"gptq", "awq", "rtn", "fp8"}))
      ->capture_default_str();
  command->add_option("--bits", flags->bits, "4 or 8; rtn with 8: INT8 per output channel, embedding too")
      ->check(CLI::IsMember({4, 8}))
      ->capture_default_str();
  command->add_option("--group-size", flags->group_size, "Inputs that share a scale")
      ->check(CLI::IsMember({32, 64, 128}))
      ->capture_default_str();
  command->add_flag(
      "--desc-act", flags->desc_act,
      "gptq: groups of inputs in the order of their activations; a little better, a little slower to run");
  auto* symmetric = command->add_flag("--sym", flags->symmetric, "No zero points (default of gptq and rtn)");
  command->add_flag("--asym", flags->asymmetric, "Zero points (default of awq)")->excludes(symmetric);
  command
      ->add_option(
          "--lm-head", flags->lm_head,
          "Embedding and head: bf16 (as they are) or int8, which is half the size and read by Pagoda alone")
      ->check(CLI::IsMember({"bf16", "int8"}))
      ->capture_default_str();
  command
      ->add_option("--damping", flags->options.gptq.damping,
                   "gptq: share of its mean added to the Hessian's diagonal")
      ->capture_default_str();
  command->add_option("--threads", flags->options.threads, "CPU threads; 0: one a core")
      ->capture_default_str();
  add_calibration_flags(*command, &flags->calibration);
  flags->hub = add_hub_flags(*command);
  return [=] { return run(*flags); };
}

}  // namespace pagoda::cli

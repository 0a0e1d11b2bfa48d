#include "cli/hub_flags.h"

#include "base/byte_size.h"
#include "cli/pull_line.h"
#include "hub/pull.h"

namespace pagoda::cli {

std::shared_ptr<HubFlags> add_hub_flags(CLI::App& command) {
  auto flags = std::make_shared<HubFlags>();
  hub::PullOptions& options = flags->options;
  const auto group = [](CLI::Option* option) { option->group("Model from a hub"); };
  group(command.add_option("--hub", flags->hub, "huggingface or modelscope")
            ->check(CLI::IsMember({"huggingface", "modelscope"}))
            ->capture_default_str());
  group(
      command.add_option("--revision", options.revision, "Branch, tag or commit; default: main, or master"));
  group(command.add_option(
      "--endpoint", options.endpoint,
      "URL of the hub or of a mirror; default: $HF_ENDPOINT ($MODELSCOPE_ENDPOINT), else the hub's"));
  group(command.add_option(
      "--token", options.token,
      "For private and gated models; better in $HF_TOKEN ($MODELSCOPE_API_TOKEN), where other "
      "users do not see it"));
  group(command.add_option("--cache", options.cache,
                           "Directory of pulled models; default: $PAGODA_CACHE, else ~/.cache/pagoda"));
  group(command.add_option("--min-free", flags->min_free, "Space that stays free on the disk")
            ->capture_default_str());
  return flags;
}

base::Result<hub::PullOptions> pull_options(const HubFlags& flags) {
  hub::PullOptions options = flags.options;
  ASSIGN_OR_RETURN(options.hub, hub::parse_hub(flags.hub));
  ASSIGN_OR_RETURN(options.min_free_bytes, base::parse_bytes(flags.min_free));
  return options;
}

base::Result<std::string> find_model(const std::string& model, const HubFlags& flags) {
  ASSIGN_OR_RETURN(hub::PullOptions options, pull_options(flags));
  const InterruptFlag interrupt;
  options.cancelled = interrupt.flag();
  PullLine line(model);
  return hub::resolve_model(model, options, line.observer());
}

}  // namespace pagoda::cli

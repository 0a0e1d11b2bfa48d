#pragma once
// The flags that say where a model comes from which is no directory, and the way from its name to a
// directory.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/status.h"
#include "hub/pull_options.h"

namespace pagoda::cli {

struct HubFlags {
  hub::PullOptions options;
  std::string hub = "huggingface";
  std::string min_free = "256MiB";
};

// Filled when `command` is parsed; they live as long as somebody holds them.
std::shared_ptr<HubFlags> add_hub_flags(CLI::App& command);
// The flags as options, with the texts read.
base::Result<hub::PullOptions> pull_options(const HubFlags& flags);

// The directory of `model`: itself, or for ORG/NAME the cached copy, which is pulled if there is none, with
// its progress on stderr. Ctrl-C meanwhile gives kCancelled.
base::Result<std::string> find_model(const std::string& model, const HubFlags& flags);

}  // namespace pagoda::cli

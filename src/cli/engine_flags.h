#pragma once
// The flags that every verb with an engine shares. Names are those of vLLM where it has them.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/hub_flags.h"
#include "engine/load_engine.h"

namespace pagoda::cli {

struct EngineFlags {
  std::string model;                  // as given: directory or ORG/NAME
  std::string quantization = "none";  // "int8", "int4", "fp8": of float weights, while loading
  std::string kv_cache_dtype = "bf16";
  std::string kv_cache_memory;  // "4GiB"; empty: decided by the memory plan
  engine::LoadOptions options;
  std::shared_ptr<HubFlags> hub;  // where a model comes from that is no directory
};

// The returned flags are filled when `command` is parsed, and live as long as somebody holds them.
// `positional`: the model may also stand without --model before it.
std::shared_ptr<EngineFlags> add_engine_flags(CLI::App& command, bool positional = false);

// Pulls the model if it is neither a directory nor cached, loads it with a progress line on stderr, and
// prints device and memory table there unless `quiet`.
base::Result<std::unique_ptr<engine::Engine>> load(const EngineFlags& flags, bool quiet);
// The CPU's part alone, for verbs without an engine.
base::Result<engine::LoadOptions> load_options(const EngineFlags& flags);

// "pagoda: <sentence>" on stderr; returns the exit code for a failure: 2 for wrong input, 130 after
// Ctrl-C, 1 otherwise.
int fail(const base::Status& status);

}  // namespace pagoda::cli

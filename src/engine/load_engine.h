#pragma once
// From a model directory to a running engine.

#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "kernels/device.h"

namespace pagoda::engine {

struct LoadOptions : kernels::DeviceOptions {
  EngineOptions engine;
  bool reference = false;  // the plain float kernels: slow, exact
};

// Opens, checks and loads the model; `progress` (may be empty) hears the share of weights loaded.
base::Result<std::unique_ptr<Engine>> load_engine(const std::string& directory, const LoadOptions& options,
                                                  const std::function<void(double)>& progress);

}  // namespace pagoda::engine

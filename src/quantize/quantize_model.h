#pragma once
// A float checkpoint becomes a smaller one, layer by layer: calibration texts run through the model, each
// layer is quantised on what reaches it through the layers before, as they were quantised, and written at
// once. Memory holds one layer in floats, its grams and the activations of the texts, never the model.

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "quantize/quantize_layer.h"

namespace pagoda::quantize {

struct ModelReport {
  std::size_t bytes_before = 0, bytes_after = 0;  // of the tensors
  std::int64_t calibration_tokens = 0;
  std::vector<LayerReport> layers;
  MatrixError total() const;  // of all matrices of all layers
};

// `calibration`: texts as the model sees them; ignored by kRoundToNearest, needed by all others. `out`
// must not hold a model yet. What is finished is kept in `out` + ".partial" until the end; a run with the
// same source, options and texts goes on from there, one with others begins anew. `progress` (may be empty)
// hears the share done and what it is at.
base::Result<ModelReport> quantize_model(const checkpoint::Checkpoint& source, const std::string& out,
                                         const Options& options, std::vector<CalibrationText> calibration,
                                         const std::function<void(double, const std::string&)>& progress);

}  // namespace pagoda::quantize

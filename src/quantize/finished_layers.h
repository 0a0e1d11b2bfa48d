#pragma once
// The layers that are quantised already, kept on disk until the model is written, so that a run that was
// ended goes on where it was. Each is a small directory that checkpoint/ can open.

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "quantize/quantize_layer.h"

namespace pagoda::quantize {

// Of everything that decides what the layers become.
std::string fingerprint(const checkpoint::Checkpoint& source, const Options& options,
                        const std::vector<CalibrationText>& calibration);

class FinishedLayers {
 public:
  // Goes on with `directory` if its fingerprint is this one, else empties it.
  static base::Result<FinishedLayers> open(const std::string& directory, const checkpoint::Checkpoint& source,
                                           const boost::json::object& quantization,
                                           const std::string& fingerprint);

  bool has(std::int64_t layer) const;
  base::Status add(std::int64_t layer, const std::vector<StoredTensor>& tensors, const LayerReport& report);
  base::Result<checkpoint::Checkpoint> open(std::int64_t layer) const;
  base::Result<LayerReport> report(std::int64_t layer) const;
  void remove();

 private:
  std::string path(std::int64_t layer) const;

  std::string directory_, source_;
  boost::json::object quantization_;
};

}  // namespace pagoda::quantize

#pragma once
// Round to nearest, without calibration: INT8 per output channel, symmetric. Each row of a matrix becomes
// integers in
// [-127, 127] and one float scale, max|w| / 127. Written as X.weight (I8) and X.weight_scale (F32 [out]),
// with quantization_config {"quant_method": "pagoda-int8"} in config.json.

#include <functional>
#include <string>

#include "base/status.h"
#include "checkpoint/checkpoint.h"

namespace pagoda::quantize {

struct Report {
  std::size_t bytes_before = 0, bytes_after = 0;  // of the tensors
  double relative_error = 0;                      // root of (sum of squared errors / sum of squared weights)
};

// Quantises all linear layers and the embedding of a float checkpoint into a new directory `out` (which must
// not hold a model yet); tokenizer and other small files are copied. `progress` (may be empty) hears the
// share done.
base::Result<Report> quantize_int8(const checkpoint::Checkpoint& source, const std::string& out,
                                   const std::function<void(double)>& progress);

}  // namespace pagoda::quantize

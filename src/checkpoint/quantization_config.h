#pragma once
// The member quantization_config of config.json: who quantised the linear layers, and how they lie in the
// files. Read are: "gptq" (also "gptq_v2" zeros), "awq" (gemm), "fp8", "compressed-tensors" (FP8; INT4 and
// INT8, packed or one byte a weight), and our own "pagoda-int8", "pagoda-gptq", "pagoda-awq". The last two
// are the published layouts with an INT8 embedding; the name is another one because an engine that does not
// know such an embedding should refuse the directory, and not read its integers as weights.
// Internal to this folder.

#include "checkpoint/config.h"
#include "checkpoint/json_fields.h"

namespace pagoda::checkpoint {

// `fields` is the root of config.json. *out stays as it is where there is no quantization_config.
// kUnimplemented for what we know but do not read, kDataLoss for what makes no sense.
base::Status read_quantization(const JsonFields& fields, Quantization* out);

}  // namespace pagoda::checkpoint

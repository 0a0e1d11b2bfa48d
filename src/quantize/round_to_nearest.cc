#include "quantize/round_to_nearest.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "quantize/model_directory.h"
#include "quantize/model_writer.h"

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using checkpoint::Tensor;

}  // namespace

base::Result<Report> quantize_int8(const Checkpoint& source, const std::string& out,
                                   const std::function<void(double)>& progress) {
  if (source.config().quantization.method != checkpoint::QuantMethod::kNone)
    return base::invalid("{} is quantised already", source.directory());
  RETURN_IF_ERROR(checkpoint::check_tensors(source));
  RETURN_IF_ERROR(prepare_directory(out));

  Report report;
  RoundingErrors errors;
  ModelWriter writer;
  const auto wanted = checkpoint::expected_tensors(source.config());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ASSIGN_OR_RETURN(const Tensor tensor, source.find(wanted[i].name, wanted[i].shape, wanted[i].dtypes));
    report.bytes_before += tensor.bytes().size();
    if (wanted[i].shape.size() == 2) {
      ASSIGN_OR_RETURN(auto stored, round_int8(tensor, &errors));
      writer.add(std::move(stored));
      tensor.file->release(tensor.info);
    } else {
      writer.add(tensor);
    }
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(wanted.size()));
  }
  report.bytes_after = writer.bytes();
  report.relative_error = std::sqrt(errors.squared_error / std::max(errors.squared_weight, 1e-300));
  const fs::path directory(out);
  RETURN_IF_ERROR(writer.write((directory / "model.safetensors").string()));
  RETURN_IF_ERROR(copy_small_files(source.directory(), out));
  RETURN_IF_ERROR(write_config(source.directory(), out,
                               {{"quant_method", "pagoda-int8"},
                                {"bits", 8},
                                {"scheme", "per_channel_symmetric"},
                                {"embedding", true}}));
  return report;
}

}  // namespace pagoda::quantize

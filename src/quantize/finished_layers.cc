#include "quantize/finished_layers.h"

#include <boost/json.hpp>
#include <cstring>
#include <filesystem>

#include "base/mapped_file.h"
#include "quantize/model_directory.h"

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFingerprint = "fingerprint";
constexpr const char* kReport = "report.json";  // written last: a layer that has it is whole

// FNV-1a
class Hash {
 public:
  void add(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) state_ = (state_ ^ bytes[i]) * 1099511628211u;
  }
  template <typename T>
  void number(T value) {
    add(&value, sizeof value);
  }
  std::string hex() const { return fmt::format("{:016x}", state_); }

 private:
  std::uint64_t state_ = 14695981039346656037u;
};

boost::json::array numbers_of(const MatrixError& error) {
  return {error.squared_weights, error.squared_weight_errors, error.squared_outputs,
          error.squared_output_errors};
}

}  // namespace

std::string fingerprint(const checkpoint::Checkpoint& source, const Options& options,
                        const std::vector<CalibrationText>& calibration) {
  Hash hash;
  const std::string directory = fs::weakly_canonical(source.directory()).string();
  hash.add(directory.data(), directory.size());
  for (const checkpoint::SafetensorsFile& file : source.files()) {
    std::error_code ignored;
    hash.number(fs::file_size(file.path(), ignored));
    hash.number(fs::last_write_time(file.path(), ignored).time_since_epoch().count());
  }
  hash.number(options.method);
  hash.number(options.scheme.bits);
  hash.number(options.scheme.fp8);
  hash.number(options.scheme.group_size);
  hash.number(options.scheme.symmetric);
  hash.number(options.gptq.damping);
  hash.number(options.gptq.act_order);
  hash.number(options.gptq.static_groups);
  hash.number(options.gptq.refine_rounds);
  hash.number(options.int8_tables);
  for (const CalibrationText& text : calibration) {
    hash.number(text.answer);
    hash.number(text.tokens.size());
    hash.add(text.tokens.data(), text.tokens.size() * sizeof text.tokens[0]);
  }
  hash.number(kPromptWeight);
  return hash.hex();
}

base::Result<FinishedLayers> FinishedLayers::open(const std::string& directory,
                                                  const checkpoint::Checkpoint& source,
                                                  const boost::json::object& quantization,
                                                  const std::string& fingerprint) {
  FinishedLayers layers;
  layers.directory_ = directory;
  layers.source_ = source.directory();
  layers.quantization_ = quantization;
  const std::string name = (fs::path(directory) / kFingerprint).string();
  const base::Result<std::string> before = base::read_file(name, 1024);
  if (before.ok() && *before == fingerprint) return layers;
  std::error_code error;
  // Nothing is removed that a run like this did not make.
  if (fs::exists(directory) && !before.ok() && !fs::is_empty(directory, error))
    return base::invalid("{} exists, and is not the work of an earlier run", directory);
  fs::remove_all(directory, error);
  fs::create_directories(directory, error);
  if (error) return base::invalid("cannot create {}: {}", directory, error.message());
  RETURN_IF_ERROR(write_text(name, fingerprint));
  return layers;
}

std::string FinishedLayers::path(std::int64_t layer) const {
  return (fs::path(directory_) / fmt::format("layer-{:04}", layer)).string();
}

bool FinishedLayers::has(std::int64_t layer) const { return fs::exists(fs::path(path(layer)) / kReport); }

base::Status FinishedLayers::add(std::int64_t layer, const std::vector<StoredTensor>& tensors,
                                 const LayerReport& report) {
  std::error_code error;
  fs::create_directories(path(layer), error);
  if (error) return base::invalid("cannot create {}: {}", path(layer), error.message());
  std::vector<checkpoint::TensorToWrite> list;
  for (const StoredTensor& tensor : tensors)
    list.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  RETURN_IF_ERROR(checkpoint::write_safetensors(path(layer) + "/model.safetensors", list, {}));
  RETURN_IF_ERROR(write_config(source_, path(layer), quantization_));
  const boost::json::array errors = {numbers_of(report.qkv), numbers_of(report.o), numbers_of(report.gate_up),
                                     numbers_of(report.down)};
  return write_text((fs::path(path(layer)) / kReport).string(), boost::json::serialize(errors) + "\n");
}

base::Result<checkpoint::Checkpoint> FinishedLayers::open(std::int64_t layer) const {
  return checkpoint::Checkpoint::open(path(layer));
}

base::Result<LayerReport> FinishedLayers::report(std::int64_t layer) const {
  const std::string name = (fs::path(path(layer)) / kReport).string();
  ASSIGN_OR_RETURN(const std::string text, base::read_file(name, 1 << 16));
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(text, error);
  LayerReport report;
  MatrixError* const matrices[] = {&report.qkv, &report.o, &report.gate_up, &report.down};
  try {
    for (std::size_t i = 0; i < 4; ++i) {
      const boost::json::array& numbers = parsed.as_array().at(i).as_array();
      matrices[i]->squared_weights = numbers.at(0).to_number<double>();
      matrices[i]->squared_weight_errors = numbers.at(1).to_number<double>();
      matrices[i]->squared_outputs = numbers.at(2).to_number<double>();
      matrices[i]->squared_output_errors = numbers.at(3).to_number<double>();
    }
  } catch (const std::exception&) {
    return base::data_loss("{} is damaged; remove {} to begin anew", name, directory_);
  }
  return report;
}

void FinishedLayers::remove() {
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

}  // namespace pagoda::quantize

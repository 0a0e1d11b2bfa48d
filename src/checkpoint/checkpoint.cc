#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <boost/json/object.hpp>
#include <cstring>
#include <filesystem>

#include "checkpoint/json_fields.h"

namespace pagoda::checkpoint {
namespace {

namespace fs = std::filesystem;
using Index = std::map<std::string, const SafetensorsFile*>;

constexpr std::string_view kSuffix = ".safetensors";
constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

std::string path_in(const std::string& directory, std::string_view file) {
  return (fs::path(directory) / file).string();
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string file_name(const std::string& path) { return fs::path(path).filename().string(); }

// An index may come from anywhere, so it must not lead out of its directory.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

base::Result<Config> read_config(const std::string& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error))
    return base::error(base::Code::kNotFound, "{} is not a directory", directory);
  const std::string path = path_in(directory, "config.json");
  if (!exists(path)) return base::error(base::Code::kNotFound, "{} has no config.json", directory);
  ASSIGN_OR_RETURN(const std::string text, base::read_file(path, kMaxJsonBytes));
  ASSIGN_OR_RETURN(Config config, parse_config(text, path));

  const std::string generation_path = path_in(directory, "generation_config.json");
  if (exists(generation_path)) {
    ASSIGN_OR_RETURN(const std::string generation_text, base::read_file(generation_path, kMaxJsonBytes));
    RETURN_IF_ERROR(parse_generation_config(generation_text, generation_path, &config));
  }
  return config;
}

// Without an index there is one file: model.safetensors, or the only one of the directory.
base::Result<std::string> find_single_file(const std::string& directory) {
  if (exists(path_in(directory, kSingle))) return path_in(directory, kSingle);
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == kSuffix) found.push_back(entry->path().string());
  if (error) return base::error(base::Code::kNotFound, "cannot list {}: {}", directory, error.message());
  if (found.empty()) return base::error(base::Code::kNotFound, "{} has no {}", directory, kSingle);
  if (found.size() > 1)
    return base::data_loss("{} has {} {} files but neither {} nor {}", directory, found.size(), kSuffix,
                           kSingle, kIndex);
  return found.front();
}

// The weight_map of an index file: tensor name to file name.
base::Result<std::map<std::string, std::string>> read_weight_map(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::read_file(path, kMaxJsonBytes));
  ASSIGN_OR_RETURN(const boost::json::value root, parse_json_object(text, path));
  const JsonFields fields(root.get_object(), path);
  std::optional<JsonFields> map;
  RETURN_IF_ERROR(fields.read("weight_map", &map));
  if (!map.has_value()) return base::data_loss("{} is missing", fields.label("weight_map"));
  std::map<std::string, std::string> files;
  for (const auto& member : root.at("weight_map").get_object()) {
    const std::string name(member.key().data(), member.key().size());
    std::string& file = files[name];
    RETURN_IF_ERROR(map->read(name, &file));
    if (!is_plain_name(file))
      return base::data_loss("{} is \"{}\", expected the name of a file in the same directory",
                             map->label(name), file);
  }
  if (files.empty()) return base::data_loss("{} is empty", fields.label("weight_map"));
  return files;
}

// An IEEE half without branches (masks, because gcc makes branches of the selects), so that the loop which
// calls this vectorises. Unlike a multiplication by 2^112 it does not depend on whether the thread flushes
// subnormals to zero.
float half_to_float_inline(std::uint16_t bits) {
  constexpr std::uint32_t kExponent = 0x1fu << 23;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffu) << 13;
  const std::uint32_t is_infinite =
      -static_cast<std::uint32_t>((magnitude & kExponent) == kExponent);  // or NaN
  const std::uint32_t is_subnormal = -static_cast<std::uint32_t>((magnitude & kExponent) == 0);
  // From the bias of halves, 15, to that of floats, 127; all ones stay all ones.
  const std::uint32_t normal = magnitude + (112u << 23) + (is_infinite & (112u << 23));
  const float subnormal = std::bit_cast<float>(magnitude + (113u << 23)) - std::bit_cast<float>(113u << 23);
  const std::uint32_t result =
      (normal & ~is_subnormal) | (std::bit_cast<std::uint32_t>(subnormal) & is_subnormal);
  return std::bit_cast<float>(result | static_cast<std::uint32_t>(bits & 0x8000u) << 16);
}

// memcpy because tensors in files are not aligned; it costs nothing.
template <typename Convert>
void convert_16_bit(const std::byte* source, std::int64_t count, float* out, Convert convert) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, source + 2 * i, sizeof bits);
    out[i] = convert(bits);
  }
}

std::string dtype_names(const std::vector<tensor::DType>& dtypes) {
  std::string names;
  for (const tensor::DType dtype : dtypes)
    names += fmt::format("{}{}", names.empty() ? "" : " or ", tensor::dtype_name(dtype));
  return names;
}

}  // namespace

base::Result<Checkpoint> Checkpoint::open(const std::string& directory) {
  Checkpoint opened;
  opened.directory_ = directory;
  ASSIGN_OR_RETURN(opened.config_, read_config(directory));

  const std::string index_path = path_in(directory, kIndex);
  if (!exists(index_path)) {
    ASSIGN_OR_RETURN(const std::string path, find_single_file(directory));
    ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(path));
    opened.files_.push_back(std::move(file));
    for (const auto& [name, info] : opened.files_.front().tensors())
      opened.index_[name] = &opened.files_.front();
    return opened;
  }

  ASSIGN_OR_RETURN(const auto weight_map, read_weight_map(index_path));
  std::map<std::string, std::size_t> positions;  // of a file name in files_
  for (const auto& [name, file] : weight_map) positions.emplace(file, 0);
  for (auto& [file_name, position] : positions) {
    ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(path_in(directory, file_name)));
    position = opened.files_.size();
    opened.files_.push_back(std::move(file));
  }
  for (const auto& [name, file_name] : weight_map) {
    const SafetensorsFile& file = opened.files_[positions[file_name]];
    if (!file.tensors().contains(name))
      return base::data_loss("{}: tensor {} is missing, although {} says that it is there", file_name, name,
                             kIndex);
    opened.index_[name] = &file;
  }
  return opened;
}

std::string Tensor::label() const { return fmt::format("{}: tensor {}", file_name(file->path()), name); }

base::Result<Tensor> Checkpoint::find(const std::string& name, const std::vector<std::int64_t>& shape,
                                      const std::vector<tensor::DType>& dtypes) const {
  const auto entry = index_.find(name);
  if (entry == index_.end())
    return base::data_loss("{}: tensor {} is missing",
                           files_.size() == 1 ? file_name(files_.front().path()) : directory_, name);
  const Tensor found{name, entry->second, entry->second->tensors().at(name)};
  const TensorInfo& info = found.info;
  if (info.shape != shape)
    return base::data_loss("{} has shape [{}], expected [{}]", found.label(), fmt::join(info.shape, ", "),
                           fmt::join(shape, ", "));
  if (std::find(dtypes.begin(), dtypes.end(), info.dtype) == dtypes.end())
    return base::data_loss("{} has dtype {}, expected {}", found.label(), tensor::dtype_name(info.dtype),
                           dtype_names(dtypes));
  return found;
}

void Checkpoint::copy_row(const Tensor& tensor, std::int64_t row, float* out) {
  const std::vector<std::int64_t>& shape = tensor.info.shape;
  CHECK(shape.size() == 1 || shape.size() == 2);
  const std::int64_t rows = shape.size() == 2 ? shape[0] : 1;
  const std::int64_t columns = shape.back();
  CHECK(row >= 0 && row < rows);
  const std::size_t row_bytes = static_cast<std::size_t>(columns) * tensor::dtype_bytes(tensor.info.dtype);
  const std::byte* source = tensor.bytes().data() + static_cast<std::size_t>(row) * row_bytes;
  switch (tensor.info.dtype) {
    case tensor::DType::kF32:
      std::memcpy(out, source, row_bytes);
      return;
    case tensor::DType::kBF16:
      return convert_16_bit(source, columns, out,
                            [](std::uint16_t bits) { return tensor::to_float(tensor::BFloat16{bits}); });
    case tensor::DType::kF16:
      return convert_16_bit(source, columns, out,
                            [](std::uint16_t bits) { return half_to_float_inline(bits); });
    default:
      CHECK(false && "copy_row reads floating point tensors");
  }
}

}  // namespace pagoda::checkpoint

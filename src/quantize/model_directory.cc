#include "quantize/model_directory.h"

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "base/mapped_file.h"

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kMaxTokenizerBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;

// A tokenizer as it is published is half white space, which nobody reads.
base::Status write_compact(const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(const std::string text, base::read_file(from, kMaxTokenizerBytes));
  boost::system::error_code error;
  const json::value tokenizer = json::parse(text, error);
  if (error) return base::data_loss("{} is not JSON: {}", from, error.message());
  return write_text(to, json::serialize(tokenizer) + "\n");
}

}  // namespace

base::Status write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return base::error(base::Code::kInternal, "cannot write {}", path);
  return {};
}

base::Status prepare_directory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return base::invalid("cannot create {}: {}", directory, error.message());
  for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json"})
    if (fs::exists(fs::path(directory) / name))
      return base::invalid("{} holds a model already ({})", directory, name);
  return {};
}

base::Status write_config(const std::string& from, const std::string& to, const json::object& quantization) {
  const std::string path = from + "/config.json";
  ASSIGN_OR_RETURN(const std::string text, base::read_file(path, kMaxConfigBytes));
  boost::system::error_code error;
  json::value config = json::parse(text, error);
  if (error || !config.is_object()) return base::data_loss("{} is not a JSON object", path);
  config.as_object()["quantization_config"] = quantization;
  return write_text(to + "/config.json", json::serialize(config) + "\n");
}

base::Status copy_small_files(const std::string& source, const std::string& target) {
  const fs::path from(source), to(target);
  if (fs::exists(from / "tokenizer.json"))
    RETURN_IF_ERROR(write_compact((from / "tokenizer.json").string(), (to / "tokenizer.json").string()));
  for (const char* name : {"tokenizer_config.json", "generation_config.json", "chat_template.jinja",
                           "special_tokens_map.json"}) {
    std::error_code error;
    if (!fs::exists(from / name)) continue;
    fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing, error);
    // A read-only source is no reason for a copy that cannot be deleted.
    if (!error) fs::permissions(to / name, fs::perms::owner_write, fs::perm_options::add, error);
    if (error)
      return base::error(base::Code::kInternal, "cannot copy {} to {}: {}", name, target, error.message());
  }
  return {};
}

}  // namespace pagoda::quantize

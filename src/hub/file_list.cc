#include "hub/file_list.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

namespace pagoda::hub {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kMaxFileBytes = 1ull << 44;  // 16 TiB: more is a lie, and sums of it could overflow
constexpr std::size_t kMaxFiles = 100000;

base::Result<json::value> parse(std::string_view text) {
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return base::data_loss("the hub's answer is not JSON: {}", error.message());
  return value;
}

const json::value* find(const json::value& value, std::string_view name) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(json::string_view(name.data(), name.size()));
}

// Empty where the field is absent or no string.
std::string text_of(const json::value& value, std::string_view name) {
  const json::value* found = find(value, name);
  return found == nullptr || !found->is_string() ? "" : std::string(found->get_string());
}

base::Result<std::uint64_t> bytes_of(const json::value& value, std::string_view name,
                                     const std::string& path) {
  const json::value* found = find(value, name);
  json::error_code error;
  const std::uint64_t bytes = found == nullptr ? 0 : found->to_number<std::uint64_t>(error);
  if (found == nullptr || error || bytes > kMaxFileBytes)
    return base::data_loss("the hub's file list gives no usable size for {}", path);
  return bytes;
}

base::Result<Digest> digest_of(DigestKind kind, std::string hex, const std::string& path) {
  std::transform(hex.begin(), hex.end(), hex.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  if (hex.starts_with("sha256:")) hex.erase(0, 7);
  if (!is_hex(hex, kind == DigestKind::kSha256 ? 64 : 40))
    return base::data_loss("the hub's file list gives no usable hash for {}", path);
  return Digest{kind, std::move(hex)};
}

base::Result<RemoteFile> huggingface_file(const json::value& entry) {
  RemoteFile file{text_of(entry, "path"), 0, {}};
  RETURN_IF_ERROR(check_path(file.path));
  const json::value* lfs = find(entry, "lfs");
  if (lfs != nullptr && lfs->is_object()) {
    ASSIGN_OR_RETURN(file.bytes, bytes_of(*lfs, "size", file.path));
    ASSIGN_OR_RETURN(file.digest, digest_of(DigestKind::kSha256, text_of(*lfs, "oid"), file.path));
  } else {
    ASSIGN_OR_RETURN(file.bytes, bytes_of(entry, "size", file.path));
    ASSIGN_OR_RETURN(file.digest, digest_of(DigestKind::kGitSha1, text_of(entry, "oid"), file.path));
  }
  return file;
}

base::Result<RemoteFile> modelscope_file(const json::value& entry) {
  RemoteFile file{text_of(entry, "Path"), 0, {}};
  RETURN_IF_ERROR(check_path(file.path));
  ASSIGN_OR_RETURN(file.bytes, bytes_of(entry, "Size", file.path));
  const std::string hash = text_of(entry, "Sha256");
  if (!hash.empty()) {
    ASSIGN_OR_RETURN(file.digest, digest_of(DigestKind::kSha256, hash, file.path));
  }
  return file;
}

bool is_any_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

base::Result<std::vector<RemoteFile>> parse_huggingface_tree(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value root, parse(text));
  if (!root.is_array()) return base::data_loss("the hub's file list is not an array");
  if (root.get_array().size() > kMaxFiles)
    return base::data_loss("the hub lists more than {} files", kMaxFiles);
  std::vector<RemoteFile> files;
  for (const json::value& entry : root.get_array()) {
    if (text_of(entry, "type") != "file") continue;
    ASSIGN_OR_RETURN(RemoteFile file, huggingface_file(entry));
    files.push_back(std::move(file));
  }
  return files;
}

base::Result<std::string> parse_huggingface_commit(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value root, parse(text));
  std::string commit = text_of(root, "sha");
  // It becomes the name of a directory.
  if (!is_hex(commit, 40)) return base::data_loss("the hub's answer names no commit");
  return commit;
}

base::Result<std::vector<RemoteFile>> parse_modelscope_files(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value root, parse(text));
  const json::value* code = find(root, "Code");
  json::error_code error;
  if (code == nullptr || code->to_number<std::int64_t>(error) != 200 || error)
    return base::error(base::Code::kNotFound, "the hub does not list it: {}",
                       text_of(root, "Message").empty() ? "no reason is given" : text_of(root, "Message"));
  const json::value* data = find(root, "Data");
  const json::value* list = data == nullptr ? nullptr : find(*data, "Files");
  if (list == nullptr || !(list->is_array() || list->is_null()))
    return base::data_loss("the hub's file list has no Data.Files");
  std::vector<RemoteFile> files;
  if (list->is_null()) return files;
  if (list->get_array().size() > kMaxFiles)
    return base::data_loss("the hub lists more than {} files", kMaxFiles);
  for (const json::value& entry : list->get_array()) {
    if (text_of(entry, "Type") != "blob") continue;
    ASSIGN_OR_RETURN(RemoteFile file, modelscope_file(entry));
    files.push_back(std::move(file));
  }
  return files;
}

std::string next_page(std::string_view link) {
  // <https://...>; rel="next", <https://...>; rel="last"
  while (!link.empty()) {
    const std::size_t open = link.find('<'), close = link.find('>', open == link.npos ? 0 : open);
    if (open == link.npos || close == link.npos) return "";
    const std::string_view url = link.substr(open + 1, close - open - 1);
    link.remove_prefix(close + 1);
    const std::string_view parameters = link.substr(0, link.find('<'));
    if (parameters.find("rel=\"next\"") != parameters.npos || parameters.find("rel=next") != parameters.npos)
      return std::string(url);
  }
  return "";
}

base::Status check_path(std::string_view path) {
  const auto refuse = [&](const char* reason) {
    std::string shown;
    for (const char c : path.substr(0, 80))
      shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return base::data_loss("the hub lists a file \"{}\": {}, so it is refused", shown, reason);
  };
  if (path.empty()) return refuse("the path is empty");
  if (path.size() > 512) return refuse("the path is longer than 512 bytes");
  if (std::any_of(path.begin(), path.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; }))
    return refuse("the path holds a backslash or a control character");
  std::string_view rest = path;
  for (bool first = true; first || !rest.empty(); first = false) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return refuse("the path is not a plain relative one");
    if (part.size() > 255) return refuse("a part of the path is longer than 255 bytes");
    if (first && part.starts_with(".pagoda")) return refuse("the cache needs that name itself");
    if (slash + 1 == rest.size()) return refuse("the path ends with a slash");
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  return {};
}

base::Status check_paths(const std::vector<RemoteFile>& files) {
  std::set<std::string_view> paths;
  for (const RemoteFile& file : files)
    if (!paths.insert(file.path).second) return base::data_loss("the hub lists {} twice", file.path);
  for (const RemoteFile& file : files)
    for (std::size_t slash = file.path.find('/'); slash != file.path.npos;
         slash = file.path.find('/', slash + 1))
      if (paths.contains(std::string_view(file.path).substr(0, slash)))
        return base::data_loss("the hub lists {} as a file and as a folder", file.path.substr(0, slash));
  return {};
}

bool is_wanted(std::string_view path) {
  if (path.find('/') != path.npos || path.starts_with('.')) return false;
  const std::size_t dot = path.rfind('.');
  const std::string_view extension = dot == path.npos ? "" : path.substr(dot);
  if (is_any_of(extension, {".safetensors", ".json", ".jinja", ".tiktoken", ".model"})) return true;
  if (is_any_of(extension, {".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack"})) return false;
  if (is_any_of(extension, {".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf"})) return false;
  if (is_any_of(path, {"vocab.txt", "merges.txt"})) return true;
  return path.starts_with("tokenizer") || path.starts_with("LICENSE") || path.starts_with("License") ||
         path.starts_with("README") || path.starts_with("NOTICE");
}

}  // namespace pagoda::hub

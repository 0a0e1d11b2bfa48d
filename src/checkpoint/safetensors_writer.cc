#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "checkpoint/safetensors.h"

namespace pagoda::checkpoint {
namespace {

// A file that disappears again unless commit() renamed it into place.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target)
      : target_(target), path_(fmt::format("{}.{}.tmp", target, ::getpid())) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) status_ = failure("create");
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (fd_ >= 0 && !committed_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  // The first error sticks, and later writes do nothing.
  void write(const void* data, std::size_t size) {
    const char* next = static_cast<const char*>(data);
    while (size > 0 && status_.ok()) {
      const ::ssize_t written = ::write(fd_, next, size);
      if (written < 0) {
        if (errno != EINTR) status_ = failure("write");
        continue;
      }
      next += written;
      size -= static_cast<std::size_t>(written);
    }
  }
  base::Status commit() {
    RETURN_IF_ERROR(status_);
    // Without the sync a power cut may leave the new name with old or no contents.
    if (::fsync(fd_) != 0) return failure("sync");
    if (std::rename(path_.c_str(), target_.c_str()) != 0) return failure("rename");
    committed_ = true;
    return {};
  }

 private:
  base::Status failure(const char* verb) const {
    const base::Code code = errno == ENOSPC ? base::Code::kResourceExhausted : base::Code::kInvalidArgument;
    return base::error(code, "cannot {} {}: {}", verb, path_, std::strerror(errno));
  }

  std::string target_, path_;
  int fd_ = -1;
  bool committed_ = false;
  base::Status status_;
};

base::Status check(const std::vector<TensorToWrite>& tensors) {
  std::set<std::string_view> names;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.name == "__metadata__" || !names.insert(tensor.name).second)
      return base::invalid("tensor {} cannot be written twice, or under a reserved name", tensor.name);
    std::size_t bytes = tensor::dtype_bytes(tensor.dtype);
    for (const std::int64_t extent : tensor.shape)
      if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes))
        return base::invalid("tensor {} has an impossible shape", tensor.name);
    if (bytes != tensor.bytes.size())
      return base::invalid("tensor {} has {} bytes, but its shape and dtype need {}", tensor.name,
                           tensor.bytes.size(), bytes);
  }
  return {};
}

std::string quoted(const std::string& text) { return boost::json::serialize(boost::json::string(text)); }

std::string header_of(const std::vector<const TensorToWrite*>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::string entries;
  if (!metadata.empty()) {
    std::string pairs;
    for (const auto& [key, value] : metadata)
      pairs += fmt::format("{}{}:{}", pairs.empty() ? "" : ",", quoted(key), quoted(value));
    entries = fmt::format("\"__metadata__\":{{{}}}", pairs);
  }
  std::size_t offset = 0;
  for (const TensorToWrite* tensor : tensors) {
    std::string shape;
    for (const std::int64_t extent : tensor->shape)
      shape += fmt::format("{}{}", shape.empty() ? "" : ",", extent);
    const std::size_t end = offset + tensor->bytes.size();
    entries += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                           entries.empty() ? "" : ",", quoted(tensor->name),
                           tensor::dtype_name(tensor->dtype), shape, offset, end);
    offset = end;
  }
  std::string header = fmt::format("{{{}}}", entries);
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data begins at a multiple of 8
  return header;
}

}  // namespace

base::Status write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  RETURN_IF_ERROR(check(tensors));
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return tensor::dtype_bytes(a->dtype) > tensor::dtype_bytes(b->dtype);
  });

  const std::string header = header_of(order, metadata);
  unsigned char length[8];
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(header.size() >> (8 * i));
  TemporaryFile file(path);
  file.write(length, sizeof length);
  file.write(header.data(), header.size());
  for (const TensorToWrite* tensor : order) file.write(tensor->bytes.data(), tensor->bytes.size());
  return file.commit();
}

}  // namespace pagoda::checkpoint

#include "checkpoint/safetensors.h"

#include <cstring>

namespace pagoda::checkpoint {
namespace {

constexpr std::size_t kLengthBytes = 8;
// The limit of the original reader; the largest header known has 2 MB.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

std::uint64_t little_endian_64(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

}  // namespace

std::int64_t TensorInfo::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

base::Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  SafetensorsFile opened;
  ASSIGN_OR_RETURN(opened.file_, base::MappedFile::open(path));
  const std::span<const std::byte> bytes = opened.file_.bytes();
  if (bytes.size() < kLengthBytes)
    return base::data_loss("{} has {} bytes, too few for a safetensors file", path, bytes.size());
  const std::uint64_t length = little_endian_64(bytes.data());
  if (length > kMaxHeaderBytes)
    return base::data_loss(
        "{}: the header claims {} bytes, more than the limit of {} (is this a safetensors file?)", path,
        length, kMaxHeaderBytes);
  if (length > bytes.size() - kLengthBytes)
    return base::data_loss(
        "{}: the header of {} bytes does not fit into the file, which has {} (is it truncated?)", path,
        length, bytes.size());
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  const std::size_t data_begin = kLengthBytes + length;
  ASSIGN_OR_RETURN(opened.tensors_,
                   parse_safetensors_header(header, data_begin, bytes.size() - data_begin, path));
  return opened;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return file_.bytes().subspan(tensor.begin, tensor.end - tensor.begin);
}

void SafetensorsFile::release(const TensorInfo& tensor) const {
  file_.release(tensor.begin, tensor.end - tensor.begin);
}

}  // namespace pagoda::checkpoint

// The header of a safetensors file: whatever it says, the tensors that come out lie in the data and apart.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "checkpoint/safetensors.h"

namespace {

void check_header(std::string_view json, std::size_t data_bytes) {
  constexpr std::size_t kDataBegin = 4096;
  const auto parsed = pagoda::checkpoint::parse_safetensors_header(json, kDataBegin, data_bytes, "fuzz");
  if (!parsed.ok()) {
    CHECK(!parsed.status().message().empty());
    return;
  }
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const auto& [name, info] : *parsed) {
    CHECK(kDataBegin <= info.begin && info.begin <= info.end && info.end <= kDataBegin + data_bytes);
    const std::size_t element_bytes = pagoda::tensor::dtype_bytes(info.dtype);
    CHECK(static_cast<std::size_t>(info.elements()) * element_bytes == info.end - info.begin);
    if (info.begin < info.end) ranges.emplace_back(info.begin, info.end);
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) CHECK(ranges[i - 1].second <= ranges[i].first);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  check_header(json, 4096);
  check_header(json, std::size_t{1} << 62);  // so that the sizes are refused only where they overflow
  return 0;
}

#pragma once
// Every large byte the process holds has a tag, so that the start-up table can be checked against reality.
// The counters are process-wide and thread-safe.

#include <array>
#include <cstddef>
#include <string_view>

namespace pagoda::tensor {

enum class MemoryTag { kWeights, kKvCache, kActivations, kStaging };
inline constexpr std::array kMemoryTags = {MemoryTag::kWeights, MemoryTag::kKvCache, MemoryTag::kActivations,
                                           MemoryTag::kStaging};

std::string_view memory_tag_name(MemoryTag tag);
// Bytes now held under a tag.
std::size_t memory_in_use(MemoryTag tag);

// Zeroed host memory, aligned to 64 bytes (2 MiB and huge pages when large). Movable, freed on destruction.
class Buffer {
 public:
  Buffer() = default;
  Buffer(MemoryTag tag, std::size_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  MemoryTag tag_ = MemoryTag::kStaging;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pagoda::tensor

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
enum class Place { kHost, kDevice };

std::string_view memory_tag_name(MemoryTag tag);
// Bytes now held under a tag.
std::size_t memory_in_use(MemoryTag tag, Place place = Place::kHost);

// Memory of one place, aligned to 64 bytes at least. Movable, freed on destruction.
class Buffer {
 public:
  Buffer() = default;
  // Zeroed host memory; 2 MiB pages when large.
  Buffer(MemoryTag tag, std::size_t bytes);
  // Takes over memory of a device (or pinned memory of the host); `free` gives it back.
  Buffer(MemoryTag tag, Place place, std::byte* data, std::size_t bytes, void (*free)(std::byte* data));
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  MemoryTag tag() const { return tag_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  MemoryTag tag_ = MemoryTag::kStaging;
  Place place_ = Place::kHost;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  void (*free_)(std::byte*) = nullptr;  // null: ordinary host memory
};

}  // namespace pagoda::tensor

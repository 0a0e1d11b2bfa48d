#include "tensor/memory.h"

#include <sys/mman.h>

#include <atomic>
#include <new>
#include <utility>

namespace pagoda::tensor {
namespace {

std::array<std::atomic<std::size_t>, 2 * kMemoryTags.size()> g_in_use{};

std::atomic<std::size_t>& counter(MemoryTag tag, Place place) {
  return g_in_use[static_cast<std::size_t>(place) * kMemoryTags.size() + static_cast<std::size_t>(tag)];
}

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t mapped_size(std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  return (bytes + kPage - 1) / kPage * kPage;
}

// Streaming weights through 4 KiB pages costs a TLB miss every 64 lines; large buffers ask for 2 MiB pages,
// which needs an aligned start: map one page more and give the ends back. What does not fill a large page
// comes in small ones: rounded up, the matrices of a small model are 3 % larger.
std::byte* map_huge(std::size_t bytes) {
  const std::size_t size = mapped_size(bytes);
  void* raw = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<std::byte*>(raw);
  const std::size_t head = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (head > 0) ::munmap(begin, head);
  if (head < kHugePage) ::munmap(begin + head + size, kHugePage - head);
  ::madvise(begin + head, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  return begin + head;
}

}  // namespace

std::string_view memory_tag_name(MemoryTag tag) {
  switch (tag) {
    case MemoryTag::kWeights:
      return "weights";
    case MemoryTag::kKvCache:
      return "kv cache";
    case MemoryTag::kActivations:
      return "activations";
    case MemoryTag::kStaging:
      return "staging";
  }
  return "unknown";
}

std::size_t memory_in_use(MemoryTag tag, Place place) { return counter(tag, place).load(); }

Buffer::Buffer(MemoryTag tag, std::size_t bytes) : tag_(tag), size_(bytes) {
  if (bytes == 0) return;
  if (bytes >= kHugePage) {
    data_ = map_huge(bytes);
  } else {
    data_ = static_cast<std::byte*>(::operator new(bytes, std::align_val_t(64)));
    for (std::size_t i = 0; i < bytes; ++i) data_[i] = std::byte{0};
  }
  counter(tag_, place_) += bytes;
}

Buffer::Buffer(MemoryTag tag, Place place, std::byte* data, std::size_t bytes, void (*free)(std::byte* data))
    : tag_(tag), place_(place), data_(data), size_(bytes), free_(free) {
  counter(tag_, place_) += bytes;
}

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(tag_, other.tag_);
  std::swap(place_, other.place_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(free_, other.free_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (free_ != nullptr)
    free_(data_);
  else if (size_ >= kHugePage)
    ::munmap(data_, mapped_size(size_));
  else
    ::operator delete(data_, std::align_val_t(64));
  counter(tag_, place_) -= size_;
}

}  // namespace pagoda::tensor

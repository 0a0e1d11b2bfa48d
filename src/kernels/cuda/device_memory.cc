#include "kernels/cuda/device_memory.h"

#include <algorithm>

#include "kernels/cuda/check.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kPieceBytes = std::size_t{64} << 20;

std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

DeviceArena::~DeviceArena() {
  for (const Piece& piece : pieces_) cudaFree(piece.data);
}

void DeviceArena::reserve(std::size_t bytes) {
  Piece piece{nullptr, round_up(bytes, kAlignment), 0};
  void* data = nullptr;
  CUDA_CHECK(cudaMalloc(&data, piece.size));
  CUDA_CHECK(cudaMemset(data, 0, piece.size));
  CUDA_CHECK(cudaStreamSynchronize(cudaStreamLegacy));  // other streams do not wait for it
  piece.data = static_cast<std::byte*>(data);
  pieces_.push_back(piece);
}

tensor::Buffer DeviceArena::allocate(tensor::MemoryTag tag, std::size_t bytes) {
  if (bytes == 0) return {};
  const std::size_t size = round_up(bytes, kAlignment);
  const auto has_room = [size](const Piece& piece) { return piece.size - piece.used >= size; };
  auto found = std::find_if(pieces_.begin(), pieces_.end(), has_room);
  if (found == pieces_.end()) {
    reserve(std::max(size, kPieceBytes));
    found = pieces_.end() - 1;
  }
  std::byte* data = found->data + found->used;
  found->used += size;
  return {tag, tensor::Place::kDevice, data, bytes, [](std::byte*) {}};
}

tensor::Buffer allocate_pinned(std::size_t bytes) {
  void* data = nullptr;
  CUDA_CHECK(cudaMallocHost(&data, bytes));
  return {tensor::MemoryTag::kStaging, tensor::Place::kHost, static_cast<std::byte*>(data), bytes,
          [](std::byte* pinned) { cudaFreeHost(pinned); }};
}

}  // namespace pagoda::kernels::cuda

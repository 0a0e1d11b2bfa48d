#pragma once
// Device memory in few large pieces: cudaMalloc rounds every piece up to 2 MiB, which adds up over the
// weights of a model. Pieces are given back when the arena ends, so buffers must not outlive it. One thread
// calls.

#include <vector>

#include "tensor/memory.h"

namespace pagoda::kernels::cuda {

class DeviceArena {
 public:
  DeviceArena() = default;
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;
  ~DeviceArena();

  // Zeroed, aligned to 256 bytes. Ends the process if the device has no room: the plan came first.
  tensor::Buffer allocate(tensor::MemoryTag tag, std::size_t bytes);
  // The next pieces come from one allocation of this size.
  void reserve(std::size_t bytes);

 private:
  struct Piece {
    std::byte* data;
    std::size_t size, used;
  };
  std::vector<Piece> pieces_;
};

// Host memory that the device reads and writes directly.
tensor::Buffer allocate_pinned(std::size_t bytes);

}  // namespace pagoda::kernels::cuda

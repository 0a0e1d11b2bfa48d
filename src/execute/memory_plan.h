#pragma once
// All memory of the engine, decided before the first request: what is not planned is not allocated.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/byte_size.h"
#include "base/status.h"

namespace pagoda::execute {

struct MemoryPlan {
  std::size_t weights_bytes = 0;
  std::string weights_formats;  // model::DenseWeights::formats; empty before they are loaded
  std::size_t kv_cache_bytes = 0;
  std::size_t activations_bytes = 0;
  std::size_t driver_bytes = 0;  // GPU: graphs, the driver's and a library's kernels; not ours to allocate
  std::int32_t kv_blocks = 0;
  std::int32_t kv_block_size = 0;  // tokens
  std::size_t kv_block_bytes = 0;  // all layers
  std::size_t budget_bytes = 0;    // memory the machine (or the container) has available

  // What the engine allocates, and that with what the driver does.
  std::size_t held_bytes() const { return weights_bytes + kv_cache_bytes + activations_bytes; }
  std::size_t total_bytes() const { return held_bytes() + driver_bytes; }
  std::int64_t kv_tokens() const { return static_cast<std::int64_t>(kv_blocks) * kv_block_size; }
  // A table for people, one line a tag.
  std::string table() const;
};

// MemAvailable of /proc/meminfo, or what the cgroup's memory.max leaves, whichever is less.
std::size_t available_memory_bytes();

using base::format_bytes;
using base::parse_bytes;

}  // namespace pagoda::execute

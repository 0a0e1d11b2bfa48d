#pragma once
// Where the arrays of a batch lie in one piece of memory, the same on the host and on the device.

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "execute/executor.h"
#include "kernels/cuda/sample_row.h"
#include "kernels/kv_cache.h"

namespace pagoda::execute {

// Batches of a graph: a step runs in the smallest that holds it. Kernels work in tiles of 8, 16, 32 and 64
// rows.
inline constexpr std::array<std::int32_t, 17> kGraphBatches = {1,  2,  4,   8,   16,  24,  32,  48, 64,
                                                               80, 96, 128, 160, 192, 224, 256, 512};

// The same of steps with prompts in them: tokens in all, sequences that decode or are sampled from, prompts.
inline constexpr std::array<std::int32_t, 6> kMixedTokens = {16, 32, 64, 128, 192, 256};
inline constexpr std::array<std::int32_t, 2> kMixedSequences = {8, 64};
inline constexpr std::int32_t kMixedPrompts = 8;

// Depends on the counts alone, so a graph finds its inputs where they were when it was recorded.
struct InputLayout {
  static constexpr std::size_t kRows = 0;  // SampleRows: how to sample, first of all
  std::size_t slices, first_blocks, outputs, tokens, positions, block_ids;

  InputLayout(std::size_t num_tokens, std::size_t num_sequences) {
    std::size_t at = aligned(num_sequences * sizeof(kernels::SampleRow));
    const auto next = [&at](std::size_t bytes) { return std::exchange(at, at + aligned(bytes)); };
    slices = next(num_sequences * sizeof(kernels::SequenceSlice));
    first_blocks = next(num_sequences * kernels::kFirstBlocks * sizeof(std::int32_t));
    outputs = next(num_sequences * sizeof(std::int32_t));
    tokens = next(num_tokens * sizeof(std::int32_t));
    positions = next(num_tokens * sizeof(std::int32_t));
    block_ids = at;
  }

  // Of the largest batch, filled up for a graph or not.
  static std::size_t max_bytes(const ExecutorLimits& limits) {
    static_assert(kMixedSequences.back() + kMixedPrompts <= kGraphBatches.back());
    const auto padded = std::max<std::size_t>(limits.max_sequences, kGraphBatches.back());
    return InputLayout(std::max<std::size_t>(limits.max_tokens, padded), padded).block_ids +
           aligned((limits.max_blocks + limits.max_sequences) * sizeof(std::int32_t));
  }

 private:
  static std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }
};

}  // namespace pagoda::execute

#include "execute/batch.h"

#include <algorithm>

namespace pagoda::execute {

void BatchLayout::reserve(std::int32_t max_tokens, std::int32_t max_sequences, std::int32_t max_blocks) {
  tokens.reserve(max_tokens);
  positions.reserve(max_tokens);
  outputs.reserve(max_sequences);
  slices.reserve(max_sequences);
  first_block.reserve(max_sequences);
  block_ids.reserve(max_blocks + max_sequences);
}

void BatchLayout::build(std::span<const StepSequence> sequences) {
  tokens.clear();
  positions.clear();
  outputs.clear();
  block_ids.clear();
  slices.clear();
  first_block.clear();
  num_decodes = max_queries = max_context = 0;
  for (const StepSequence& sequence : sequences) {
    const schedule::ScheduledSequence& part = *sequence.part;
    const std::int32_t context = part.first + part.count;
    if (part.count == 1 && num_decodes == static_cast<std::int32_t>(slices.size()))
      ++num_decodes;
    else
      max_queries = std::max(max_queries, part.count);
    max_context = std::max(max_context, context);
    slices.push_back({.first_row = static_cast<std::int32_t>(tokens.size()),
                      .num_queries = part.count,
                      .context = context,
                      .block_table = nullptr});
    first_block.push_back(static_cast<std::int32_t>(block_ids.size()));
    for (const cache::BlockId block : part.blocks) block_ids.push_back(block.value);
    for (std::int32_t i = 0; i < part.count; ++i) {
      tokens.push_back(part.tokens[i]);
      positions.push_back(part.first + i);
    }
    if (part.samples) outputs.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
  }
}

}  // namespace pagoda::execute

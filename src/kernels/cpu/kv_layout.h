#pragma once
// Keys and values of a block as panels (cpu/panel.h), BF16, so that both products of attention run on the
// panel kernels:
//   keys    [kv_heads][block_size / width][head_dim / 2][width tokens][2], width = min(16, block_size)
//   values  [kv_heads][ceil(head_dim / 16)][block_size / 2][16][2]
// A lone value of an even position is stored with a zero partner: the pair is read whole.

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/cpu/panel.h"
#include "kernels/ops.h"

namespace pagoda::kernels::cpu {

class KvLayout {
 public:
  explicit KvLayout(const KvShape& shape);

  std::size_t block_bytes() const { return (key_head_bytes_ + value_head_bytes_) * kv_heads_; }
  std::int64_t key_width() const { return width_; }
  std::size_t key_panel_bytes() const { return key_panel_bytes_; }
  std::size_t value_panel_bytes() const { return value_panel_bytes_; }

  // The panel of keys that holds token `offset` of the block.
  const std::byte* keys(const std::byte* block, std::int64_t head, std::int64_t offset) const {
    return block + head * key_head_bytes_ + offset / width_ * key_panel_bytes_;
  }
  // The first value panel, at the group of token `offset` (even).
  const std::byte* values(const std::byte* block, std::int64_t head, std::int64_t offset) const {
    return block + kv_heads_ * key_head_bytes_ + head * value_head_bytes_ + offset / 2 * kPanelRowBytes;
  }
  void write_key(std::byte* block, std::int64_t head, std::int64_t offset, const float* key) const;
  // `zero_partner`: no token of this step follows in the same pair.
  void write_value(std::byte* block, std::int64_t head, std::int64_t offset, const float* value,
                   bool zero_partner) const;

 private:
  std::int64_t kv_heads_, head_dim_, width_;
  std::size_t key_panel_bytes_, key_head_bytes_, value_panel_bytes_, value_head_bytes_;
};

// rope_and_write_kv for the rows [begin, end) of the batch.
void rope_and_write_rows(const RopeArgs& args, const KvCache& cache, std::int64_t layer,
                         std::span<const SequenceSlice> sequences, std::int32_t begin, std::int32_t end);

}  // namespace pagoda::kernels::cpu

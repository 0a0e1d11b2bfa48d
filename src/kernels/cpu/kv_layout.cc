#include "kernels/cpu/kv_layout.h"

#include <algorithm>

#include "kernels/cpu/rows.h"
#include "tensor/dtype.h"

namespace pagoda::kernels::cpu {

KvLayout::KvLayout(const KvShape& shape)
    : kv_heads_(shape.num_kv_heads),
      head_dim_(shape.head_dim),
      width_(std::min(kPanelColumns, shape.block_size)) {
  key_panel_bytes_ = head_dim_ / 2 * width_ * 2 * sizeof(std::uint16_t);
  key_head_bytes_ = shape.block_size / width_ * key_panel_bytes_;
  value_panel_bytes_ = shape.block_size / 2 * kPanelRowBytes;
  value_head_bytes_ = (head_dim_ + kPanelColumns - 1) / kPanelColumns * value_panel_bytes_;
}

void KvLayout::write_key(std::byte* block, std::int64_t head, std::int64_t offset, const float* key) const {
  auto* out =
      reinterpret_cast<std::uint16_t*>(block + head * key_head_bytes_ + offset / width_ * key_panel_bytes_) +
      offset % width_ * 2;
  for (std::int64_t d = 0; d < head_dim_; d += 2, out += width_ * 2) {
    out[0] = tensor::to_bfloat16(key[d]).bits;
    out[1] = tensor::to_bfloat16(key[d + 1]).bits;
  }
}

void KvLayout::write_value(std::byte* block, std::int64_t head, std::int64_t offset, const float* value,
                           bool zero_partner) const {
  auto* first = reinterpret_cast<std::uint16_t*>(const_cast<std::byte*>(values(block, head, offset / 2 * 2)));
  for (std::int64_t d = 0; d < head_dim_; d += kPanelColumns) {
    std::uint16_t* out = first + d / kPanelColumns * value_panel_bytes_ / sizeof(std::uint16_t) + offset % 2;
    const std::int64_t count = std::min(kPanelColumns, head_dim_ - d);
    for (std::int64_t i = 0; i < count; ++i) out[2 * i] = tensor::to_bfloat16(value[d + i]).bits;
    if (zero_partner)
      for (std::int64_t i = 0; i < count; ++i) out[2 * i + 1] = 0;
  }
}

void rope_and_write_rows(const RopeArgs& args, const KvCache& cache, std::int64_t layer,
                         std::span<const SequenceSlice> sequences, std::int32_t begin, std::int32_t end) {
  const KvLayout layout(cache.shape);
  const std::int64_t head_dim = cache.shape.head_dim, half = head_dim / 2,
                     kv_heads = cache.shape.num_kv_heads;
  const auto rotate = [&](float* x, std::int64_t position, const float* norm) {
    rotate_half_row(x, args.cos + position * half, args.sin + position * half, half);
    if (norm != nullptr) rms_norm_row(x, norm, args.eps, head_dim, x);
  };
  for (const SequenceSlice& sequence : sequences) {
    const std::int32_t stop = std::min(end, sequence.first_row + sequence.num_queries);
    for (std::int32_t row = std::max(begin, sequence.first_row); row < stop; ++row) {
      const std::int64_t position = args.positions[row];
      const std::int64_t offset = position % cache.shape.block_size;
      std::byte* block = cache.block(layer, sequence.block_table[position / cache.shape.block_size]);
      const bool zero_partner = offset % 2 == 0 && position + 1 == sequence.context;
      float* q = args.qkv.row(row);
      float* k = q + args.num_heads * head_dim;
      const float* v = k + kv_heads * head_dim;
      for (std::int64_t h = 0; h < args.num_heads; ++h) rotate(q + h * head_dim, position, args.q_norm);
      for (std::int64_t h = 0; h < kv_heads; ++h) {
        rotate(k + h * head_dim, position, args.k_norm);
        layout.write_key(block, h, offset, k + h * head_dim);
        layout.write_value(block, h, offset, v + h * head_dim, zero_partner);
      }
    }
  }
}

}  // namespace pagoda::kernels::cpu

#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "kernels/cpu/rows.h"

namespace pagoda::kernels::cpu {
namespace {

constexpr std::size_t kLine = 64;
std::size_t round_up(std::size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

std::int64_t tile_rows(std::int64_t num_heads, const KvShape& shape) {
  return std::max(kQueryRows, num_heads / shape.num_kv_heads);
}
std::size_t query_stride(std::int64_t head_dim) { return round_up(head_dim * sizeof(float)); }
std::size_t staging_bytes(std::int64_t head_dim) {
  return kKvTile / kPanelColumns * head_dim / 2 * kPanelRowBytes;
}

}  // namespace

std::size_t AttentionScratch::bytes(const OpsLimits& limits) {
  const std::int64_t rows = tile_rows(limits.num_heads, limits.kv);
  const std::int64_t head_dim = limits.kv.head_dim;
  return rows * query_stride(head_dim) + round_up(rows * kKvTile * sizeof(float)) +
         round_up(rows * kKvTile * sizeof(std::uint16_t)) + round_up(rows * head_dim * sizeof(float)) +
         2 * round_up(rows * sizeof(float)) + staging_bytes(head_dim);
}

AttentionScratch::AttentionScratch(std::byte* memory, const AttentionArgs& args, const KvShape& shape) {
  const std::int64_t rows = tile_rows(args.num_heads, shape);
  const auto take = [&memory](std::size_t bytes) {
    std::byte* part = memory;
    memory += round_up(bytes);
    return part;
  };
  q_stride = query_stride(shape.head_dim);
  q = take(rows * q_stride);
  scores = reinterpret_cast<float*>(take(rows * kKvTile * sizeof(float)));
  p = reinterpret_cast<std::uint16_t*>(take(rows * kKvTile * sizeof(std::uint16_t)));
  out = reinterpret_cast<float*>(take(rows * shape.head_dim * sizeof(float)));
  max = reinterpret_cast<float*>(take(rows * sizeof(float)));
  total = reinterpret_cast<float*>(take(rows * sizeof(float)));
  staging = take(staging_bytes(shape.head_dim));
}

AttentionPlan::AttentionPlan(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                             std::span<const SequenceSlice> sequences)
    : args_(args),
      cache_(cache),
      layer_(layer),
      sequences_(sequences),
      layout_(cache.shape),
      group_(args.num_heads / cache.shape.num_kv_heads),
      tokens_per_tile_(static_cast<std::int32_t>(std::max<std::int64_t>(1, kQueryRows / group_))) {
  for (const SequenceSlice& sequence : sequences)
    num_items_ += (sequence.num_queries + tokens_per_tile_ - 1) / tokens_per_tile_ * cache.shape.num_kv_heads;
}

AttentionPlan::Tile AttentionPlan::locate(std::size_t item) const {
  for (const SequenceSlice& sequence : sequences_) {
    const std::size_t tiles = (sequence.num_queries + tokens_per_tile_ - 1) / tokens_per_tile_;
    if (item < tiles * cache_.shape.num_kv_heads) {
      const auto first = static_cast<std::int32_t>(item % tiles) * tokens_per_tile_;
      return {&sequence, static_cast<std::int64_t>(item / tiles), first,
              std::min(tokens_per_tile_, sequence.num_queries - first)};
    }
    item -= tiles * cache_.shape.num_kv_heads;
  }
  CHECK(false);
}

const std::byte* AttentionPlan::block_of(const Tile& tile, std::int64_t position) const {
  return cache_.block(layer_, tile.sequence->block_table[position / cache_.shape.block_size]);
}

void AttentionPlan::load_queries(const Tile& tile, const PanelKernels& kernels,
                                 AttentionScratch& scratch) const {
  const std::int64_t head_dim = cache_.shape.head_dim;
  for (std::int32_t i = 0; i < tile.num_queries; ++i) {
    const float* q =
        args_.q.row(tile.sequence->first_row + tile.first_query + i) + tile.head * group_ * head_dim;
    for (std::int64_t h = 0; h < group_; ++h) {
      std::byte* out = scratch.q + (i * group_ + h) * scratch.q_stride;
      if (kernels.bf16_takes_bf16)
        bf16_row(q + h * head_dim, head_dim, reinterpret_cast<std::uint16_t*>(out));
      else
        std::memcpy(out, q + h * head_dim, head_dim * sizeof(float));
    }
  }
}

// A panel of 16 keys from two blocks of 8.
const std::byte* AttentionPlan::join_keys(const Tile& tile, std::int64_t position, std::int64_t tokens,
                                          std::byte* panel) const {
  const std::size_t half_row = kPanelRowBytes / 2;
  for (std::int64_t half = 0; half < 2 && half * layout_.key_width() < tokens; ++half) {
    const std::byte* from = layout_.keys(block_of(tile, position + half * layout_.key_width()), tile.head, 0);
    for (std::int64_t g = 0; g < cache_.shape.head_dim / 2; ++g)
      std::memcpy(panel + g * kPanelRowBytes + half * half_row, from + g * half_row, half_row);
  }
  return panel;
}

// scores[rows, tokens] = q k^T for the cache positions [first, first + tokens), all panels side by side.
void AttentionPlan::score(const Tile& tile, std::int64_t first, std::int64_t tokens,
                          const PanelKernels& kernels, AttentionScratch& scratch) const {
  const std::byte* panels[kKvTile / kPanelColumns];
  PanelArgs args;
  args.a = scratch.q;
  args.a_stride = scratch.q_stride;
  args.m = tile.num_queries * group_;
  args.groups = cache_.shape.head_dim / 2;
  args.panel_bases = panels;
  args.panels = (tokens + kPanelColumns - 1) / kPanelColumns;
  args.columns = args.panels * kPanelColumns;
  args.c = scratch.scores;
  args.c_stride = kKvTile;
  for (std::int64_t p = 0; p < args.panels; ++p) {
    const std::int64_t position = first + p * kPanelColumns;
    panels[p] = layout_.key_width() < kPanelColumns
                    ? join_keys(tile, position, tokens - p * kPanelColumns,
                                scratch.staging + p * args.groups * kPanelRowBytes)
                    : layout_.keys(block_of(tile, position), tile.head, position % cache_.shape.block_size);
  }
  kernels.bf16(args);
}

// out[rows, head_dim] += p v for the cache positions [first, first + tokens).
void AttentionPlan::weigh_values(const Tile& tile, std::int64_t first, std::int64_t tokens,
                                 const PanelKernels& kernels, AttentionScratch& scratch) const {
  const std::int64_t block_size = cache_.shape.block_size;
  const std::int64_t segment_tokens = std::min(block_size, kKvTile);
  const std::byte* segments[kKvTile / 8];
  for (std::int64_t s = 0; s * segment_tokens < tokens; ++s) {
    const std::int64_t position = first + s * segment_tokens;
    segments[s] = layout_.values(block_of(tile, position), tile.head, position % block_size);
  }
  PanelArgs args;
  args.a = kernels.bf16_takes_bf16 ? static_cast<const void*>(scratch.p) : scratch.scores;
  const std::size_t value_bytes = kernels.bf16_takes_bf16 ? sizeof(std::uint16_t) : sizeof(float);
  args.a_stride = kKvTile * value_bytes;
  args.m = tile.num_queries * group_;
  args.segments = segments;
  args.panel_stride = layout_.value_panel_bytes();
  args.columns = cache_.shape.head_dim;
  args.panels = (args.columns + kPanelColumns - 1) / kPanelColumns;
  args.c = scratch.out;
  args.c_stride = cache_.shape.head_dim;
  args.chain = true;
  const std::int64_t whole = tokens / segment_tokens;
  if (whole > 0) {
    args.num_segments = whole;
    args.groups = segment_tokens / 2;
    kernels.bf16(args);
  }
  // Pages may hold anything behind the last token, NaN included: stop at its pair.
  const std::int64_t rest = tokens - whole * segment_tokens;
  if (rest > 0) {
    args.a = static_cast<const std::byte*>(args.a) + whole * segment_tokens * value_bytes;
    args.segments = segments + whole;
    args.num_segments = 1;
    args.groups = (rest + 1) / 2;
    kernels.bf16(args);
  }
}

void AttentionPlan::run(std::size_t item, const PanelKernels& kernels, AttentionScratch& scratch) const {
  const Tile tile = locate(item);
  const std::int64_t rows = tile.num_queries * group_;
  const std::int64_t head_dim = cache_.shape.head_dim;
  load_queries(tile, kernels, scratch);
  std::fill_n(scratch.out, rows * head_dim, 0.0f);
  std::fill_n(scratch.max, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(scratch.total, rows, 0.0f);
  // Tokens that the first and the last query of the tile see.
  const std::int64_t first_visible =
      tile.sequence->context - tile.sequence->num_queries + tile.first_query + 1;
  const std::int64_t last_visible = first_visible + tile.num_queries - 1;
  for (std::int64_t first = 0; first < last_visible; first += kKvTile) {
    const std::int64_t tokens = std::min(kKvTile, last_visible - first);
    score(tile, first, tokens, kernels, scratch);
    for (std::int64_t r = 0; r < rows; ++r) {
      float* scores = scratch.scores + r * kKvTile;
      softmax_tile_row(scores, kKvTile, first_visible + r / group_ - first, args_.scale, scratch.max + r,
                       scratch.total + r, scratch.out + r * head_dim, head_dim);
      if (kernels.bf16_takes_bf16) bf16_row(scores, kKvTile, scratch.p + r * kKvTile);
    }
    weigh_values(tile, first, tokens, kernels, scratch);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = tile.sequence->first_row + tile.first_query + r / group_;
    float* out = args_.out.row(row) + (tile.head * group_ + r % group_) * head_dim;
    scale_row(scratch.out + r * head_dim, 1.0f / scratch.total[r], head_dim, out);
  }
}

}  // namespace pagoda::kernels::cpu

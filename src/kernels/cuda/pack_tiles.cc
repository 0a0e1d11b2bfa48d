// INT4 and INT8 into tiles (tile_layout.cuh): by the device itself where a file has the integers in a layout
// that it knows, and row by row on the host otherwise.

#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.h"
#include "kernels/cuda/check.cuh"
#include "kernels/cuda/pack.h"
#include "kernels/cuda/rearrange.cuh"
#include "kernels/cuda/tile_layout.cuh"
#include "tensor/dtype.h"

namespace pagoda::kernels::cuda {
namespace {

bool is_int4(const WeightSource& source) { return source.format == WeightFormat::kInt4; }
std::int64_t chunk_values(const WeightSource& source) { return is_int4(source) ? kInt4Chunk : kInt8Chunk; }

// Rows that lie one behind another in the source are read together, as many as share a line of a GPTQ file.
constexpr std::int64_t kRowsAtOnce = 16;

// What the host reads of rows.
struct Rows {
  std::vector<std::int8_t> values, zeros;
  std::vector<float> scales;

  Rows(const WeightSource& source, bool with_values)
      : values(with_values ? kRowsAtOnce * source.in_features : 0),
        zeros(kRowsAtOnce * source.groups()),
        scales(kRowsAtOnce * source.groups()) {}
  void read(const WeightSource& source, std::int64_t first, std::int64_t count) {
    read_quantized_rows(source, first, count,
                        {values.empty() ? nullptr : values.data(), scales.data(), zeros.data()});
  }
};

// Scales and zero points as the kernels want them.
class TileScales {
 public:
  TileScales(const WeightSource& source, std::int64_t group)
      : source_(source),
        group_(group),
        groups_(stored_groups(source.in_features, group)),
        row_scales_(is_int4(source) ? 0 : source.out_features),
        group_scales_(is_int4(source) ? stacked_tiles(source.out_features) * groups_ * 16 : 0),
        group_zeros_(is_int4(source) && (source.has_zeros || group == 32) ? group_scales_.size() : 0) {}

  // Of row `row`, which is the i-th that was read. Threads write different rows.
  void write(std::int64_t row, const Rows& rows, std::int64_t i) {
    const float* scale = rows.scales.data() + i * source_.groups();
    const std::int8_t* zero = rows.zeros.data() + i * source_.groups();
    if (!row_scales_.empty()) {
      row_scales_[row] = scale[0];
      return;
    }
    const std::int64_t source_group = source_.group_size == 0 ? source_.in_features : source_.group_size;
    const RowOfTile tile = tile_of_row(source_.pairs, source_.out_features, row);
    for (std::int64_t g = 0; g < groups_; ++g) {
      const std::int64_t from = std::min(g * group_ / source_group, source_.groups() - 1),
                         at = piece_of(tile.tile, groups_, g) * 16 + tile.row;
      group_scales_[at] = tensor::float_to_half(scale[from]);
      if (!group_zeros_.empty()) group_zeros_[at] = tensor::to_bfloat16(128.0f + zero[from]).bits;
    }
  }

  std::span<const std::byte> scales() const {
    return row_scales_.empty() ? std::as_bytes(std::span(group_scales_))
                               : std::as_bytes(std::span(row_scales_));
  }
  std::span<const std::byte> zeros() const { return std::as_bytes(std::span(group_zeros_)); }

 private:
  const WeightSource& source_;
  std::int64_t group_, groups_;
  std::vector<float> row_scales_;
  std::vector<std::uint16_t> group_scales_, group_zeros_;
};

// The values of a row, whole chunks of them, to where it lies in the tiles from tile 0 of `tiles` on.
void write_values(const WeightSource& source, const std::int8_t* values, RowOfTile at, std::byte* tiles) {
  const std::int64_t chunk = chunk_values(source), chunks = (source.in_features + chunk - 1) / chunk;
  for (std::int64_t c = 0; c < chunks; ++c, values += chunk) {
    std::byte* to = tiles + piece_of(at.tile, chunks, c) * kTileChunkBytes;
    if (!is_int4(source)) {
      for (int k = 0; k < kInt8Chunk; ++k)
        to[int8_offset(k, at.row)] = static_cast<std::byte>(values[k] + 128);
      continue;
    }
    for (int k = 0; k < kInt4Chunk; k += 8) {
      std::uint32_t word = 0;
      for (int j = 0; j < 8; ++j) word |= static_cast<std::uint32_t>(values[k + j] & 15) << int4_shift(j);
      std::memcpy(to + int4_word_offset(k, at.row), &word, sizeof(word));
    }
  }
}

// What stands for the rows that fill up a stack.
std::uint8_t no_value(const WeightSource& source) { return is_int4(source) ? 0x88 : 128; }

std::size_t unit_bytes(const WeightSource& source, const StoredIntegers& part) {
  const std::int64_t values =
      part.order == StoredIntegers::Order::kRows ? source.in_features : kUnitInputs * part.rows;
  return static_cast<std::size_t>(is_int4(source) ? values / 2 : values);
}

bool can_rearrange(const WeightSource& source) {
  if (source.stored.empty() || source.in_features % chunk_values(source) != 0) return false;
  return source.in_features <= kMostInputs &&
         std::ranges::all_of(source.stored, [&](const StoredIntegers& part) {
           return unit_bytes(source, part) <= Packer::kStagingBytes;
         });
}

}  // namespace

void Packer::pack_tiles(const WeightSource& source, Weight& weight, DeviceArena& arena) {
  const std::int64_t chunks = (source.in_features + chunk_values(source) - 1) / chunk_values(source);
  // Groups of 64 are stored as two of 32.
  const std::int64_t group = source.group_size == 0                       ? source.in_features
                             : is_int4(source) && source.group_size == 64 ? 32
                                                                          : source.group_size;
  if (is_int4(source)) weight.group_size = group;
  const std::int64_t stacks = stacked_tiles(source.out_features) / kStackTiles;
  const std::size_t stack_bytes = chunks * kStackTiles * kTileChunkBytes;
  weight.data = arena.allocate(tensor::MemoryTag::kWeights, stacks * stack_bytes);
  TileScales scales(source, group);
  if (can_rearrange(source)) {
    rearrange(source, weight);
    threads_.run((source.out_features + kRowsAtOnce - 1) / kRowsAtOnce, 1,
                 [&](std::size_t begin, std::size_t end, int) {
                   Rows rows(source, /*with_values=*/false);
                   for (auto i = static_cast<std::int64_t>(begin); i < static_cast<std::int64_t>(end); ++i) {
                     const std::int64_t first = i * kRowsAtOnce,
                                        count = std::min(kRowsAtOnce, source.out_features - first);
                     rows.read(source, first, count);
                     for (std::int64_t r = 0; r < count; ++r) scales.write(first + r, rows, r);
                   }
                 });
  } else {
    const auto write_stacks = [&](std::int64_t begin, std::int64_t end, std::byte* out) {
      Rows rows(source, /*with_values=*/true);
      std::vector<std::int8_t> padded(chunks * chunk_values(source));
      std::memset(out, no_value(source), (end - begin) * stack_bytes);
      // With pairs the rows of a half lie together, 8 of each tile.
      const std::int64_t halves = source.pairs ? 2 : 1, half = source.out_features / halves,
                         a_stack = kStackRows / halves;
      for (std::int64_t h = 0; h < halves; ++h) {
        const std::int64_t last = std::min(end * a_stack, half);
        for (std::int64_t first = begin * a_stack; first < last; first += kRowsAtOnce) {
          const std::int64_t count = std::min(kRowsAtOnce, last - first);
          rows.read(source, h * half + first, count);
          for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t row = h * half + first + i;
            const std::int8_t* values = rows.values.data() + i * source.in_features;
            std::copy_n(values, source.in_features, padded.data());
            // Stands for 0.0.
            std::fill(padded.begin() + source.in_features, padded.end(),
                      rows.zeros[(i + 1) * source.groups() - 1]);
            RowOfTile at = tile_of_row(source.pairs, source.out_features, row);
            at.tile -= begin * kStackTiles;
            write_values(source, padded.data(), at, out);
            scales.write(row, rows, i);
          }
        }
      }
    };
    stream(stacks, stack_bytes, write_stacks, copy_to(weight.data.data(), stack_bytes));
  }
  const auto keep = [&](std::span<const std::byte> bytes) {
    tensor::Buffer kept = arena.allocate(tensor::MemoryTag::kWeights, bytes.size());
    copy(kept.data(), bytes.data(), bytes.size());
    return kept;
  };
  weight.scales = keep(scales.scales());
  if (!scales.zeros().empty()) weight.offsets = keep(scales.zeros());
}

void Packer::rearrange(const WeightSource& source, const Weight& weight) {
  CUDA_CHECK(cudaMemsetAsync(weight.data.data(), no_value(source), weight.data.size(), cudaStreamPerThread));
  RearrangeArgs args;
  args.format = source.format;
  args.out_features = source.out_features;
  args.in_features = source.in_features;
  args.pairs = source.pairs;
  args.to = weight.data.data();
  for (const StoredIntegers& part : source.stored) {
    const bool by_rows = part.order == StoredIntegers::Order::kRows;
    const std::size_t bytes = unit_bytes(source, part);
    args.order = part.order;
    args.rows = part.rows;
    stream(
        by_rows ? part.rows : source.in_features / kUnitInputs, bytes,
        [&](std::int64_t begin, std::int64_t end, std::byte* out) {
          std::memcpy(out, part.data + begin * bytes, (end - begin) * bytes);
        },
        [&](std::int64_t first, std::int64_t count, const std::byte* staging) {
          args.from = staging;
          args.first = first;
          args.count = count;
          launch_rearrange(args, cudaStreamPerThread);
        });
    args.first_row += part.rows;
  }
}

}  // namespace pagoda::kernels::cuda

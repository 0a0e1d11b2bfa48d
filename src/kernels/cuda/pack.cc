#include "kernels/cuda/pack.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "kernels/cuda/check.cuh"
#include "kernels/cuda/tile_layout.cuh"
#include "tensor/dtype.h"

namespace pagoda::kernels::cuda {
namespace {

constexpr std::size_t kStagingBytes = std::size_t{32} << 20;
bool has_layout(const WeightSource& source) {
  switch (source.format) {
    case WeightFormat::kBF16:
    case WeightFormat::kFp8:
      return true;
    case WeightFormat::kInt8:
      return source.group_size == 0 && !source.has_zeros;
    case WeightFormat::kInt4:
      return source.group_size == 0 || source.group_size == 32 || source.group_size == 64 ||
             (source.group_size % kInt4Chunk == 0 &&
              std::has_single_bit(static_cast<std::uint64_t>(source.group_size)));
    case WeightFormat::kF32:
      break;
  }
  return false;
}

// The values of row r of a chunk.
void write_int4_chunk(const std::int8_t* values, int r, std::byte* chunk) {
  for (int k = 0; k < kInt4Chunk; k += 8) {
    std::uint32_t word = 0;
    for (int j = 0; j < 8; ++j) word |= static_cast<std::uint32_t>(values[k + j] & 15) << int4_shift(j);
    std::memcpy(chunk + int4_word_offset(k, r), &word, sizeof(word));
  }
}

}  // namespace

Packer::Packer(int threads) : threads_(threads) {
  for (int i = 0; i < 2; ++i) {
    staging_[i] = allocate_pinned(kStagingBytes);
    cudaEvent_t event;
    CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    copied_[i] = event;
  }
}

Packer::~Packer() {
  for (void* event : copied_) cudaEventDestroy(static_cast<cudaEvent_t>(event));
}

void Packer::stream(std::byte* device, std::int64_t units, std::size_t unit_bytes,
                    const std::function<void(std::int64_t, std::int64_t, std::byte*)>& write) {
  CHECK(unit_bytes <= kStagingBytes);
  const auto a_turn = static_cast<std::int64_t>(kStagingBytes / unit_bytes);
  for (std::int64_t first = 0; first < units; first += a_turn) {
    const std::int64_t count = std::min(a_turn, units - first);
    std::byte* staging = staging_[turn_].data();
    const auto event = static_cast<cudaEvent_t>(copied_[turn_]);
    CUDA_CHECK(cudaEventSynchronize(event));
    threads_.run(count, 1, [&](std::size_t begin, std::size_t end, int) {
      write(first + static_cast<std::int64_t>(begin), first + static_cast<std::int64_t>(end),
            staging + begin * unit_bytes);
    });
    CUDA_CHECK(cudaMemcpyAsync(device + first * unit_bytes, staging, count * unit_bytes,
                               cudaMemcpyHostToDevice, cudaStreamPerThread));
    CUDA_CHECK(cudaEventRecord(event, cudaStreamPerThread));
    turn_ = 1 - turn_;
  }
}

void Packer::copy(std::byte* device, const void* host, std::size_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cudaStreamPerThread));
  CUDA_CHECK(cudaStreamSynchronize(cudaStreamPerThread));
}

Weight Packer::pack(const WeightSource& wanted, DeviceArena& arena) {
  WeightSource source = wanted;
  if (!has_layout(wanted)) {
    source.format = WeightFormat::kBF16;
    source.input_order.clear();
    source.row_f32 = [&wanted](std::int64_t row, float* out) { dequantize_row(wanted, row, out); };
  }
  Weight weight;
  weight.format = source.format;
  weight.out_features = source.out_features;
  weight.in_features = source.in_features;
  weight.group_size = source.group_size;
  weight.pairs = source.pairs;
  if (source.format == WeightFormat::kBF16 || source.format == WeightFormat::kFp8)
    pack_rows(source, weight, arena);
  else
    pack_tiles(source, weight, arena);
  if (!source.input_order.empty()) {
    weight.input_order =
        arena.allocate(tensor::MemoryTag::kWeights, source.input_order.size() * sizeof(std::int32_t));
    copy(weight.input_order.data(), source.input_order.data(), weight.input_order.size());
  }
  CUDA_CHECK(cudaStreamSynchronize(cudaStreamPerThread));
  return weight;
}

void Packer::pack_rows(const WeightSource& source, Weight& weight, DeviceArena& arena) {
  const bool fp8 = source.format == WeightFormat::kFp8;
  const std::int64_t in = source.in_features;
  CHECK(in % (fp8 ? 16 : 8) == 0);  // rows are read 16 bytes at a time
  const std::size_t row_bytes = in * (fp8 ? 1 : 2);
  // The last row too is read in whole chunks (linear_format.cuh).
  constexpr std::size_t kChunkBytes = 64;
  weight.data =
      arena.allocate(tensor::MemoryTag::kWeights, padded_rows(source.out_features) * row_bytes + kChunkBytes);
  std::vector<float> scales(fp8 ? padded_rows(source.out_features) : 0);
  stream(weight.data.data(), source.out_features, row_bytes,
         [&](std::int64_t begin, std::int64_t end, std::byte* out) {
           std::vector<float> row(fp8 ? 0 : in);
           for (std::int64_t r = begin; r < end; ++r, out += row_bytes) {
             if (fp8) {
               source.row_fp8(r, reinterpret_cast<std::uint8_t*>(out), &scales[r]);
               continue;
             }
             source.row_f32(r, row.data());
             auto* halves = reinterpret_cast<std::uint16_t*>(out);
             for (std::int64_t i = 0; i < in; ++i) halves[i] = tensor::to_bfloat16(row[i]).bits;
           }
         });
  if (scales.empty()) return;
  weight.scales = arena.allocate(tensor::MemoryTag::kWeights, scales.size() * sizeof(float));
  copy(weight.scales.data(), scales.data(), weight.scales.size());
}

void Packer::pack_tiles(const WeightSource& source, Weight& weight, DeviceArena& arena) {
  const bool int4 = source.format == WeightFormat::kInt4;
  const std::int64_t in = source.in_features, chunk = int4 ? kInt4Chunk : kInt8Chunk;
  const std::int64_t chunks = (in + chunk - 1) / chunk;
  const std::int64_t source_group = source.group_size == 0 ? in : source.group_size;
  // Groups of 64 are stored as two of 32.
  const std::int64_t group = int4 && source_group == 64 ? 32 : source_group;
  const std::int64_t groups = stored_groups(in, group);
  if (int4) weight.group_size = group;
  const bool zeros = int4 && (source.has_zeros || group == 32);
  const std::size_t stack_bytes = chunks * kStackTiles * kTileChunkBytes;
  const std::int64_t tiles = stacked_tiles(source.out_features);
  weight.data = arena.allocate(tensor::MemoryTag::kWeights, tiles / kStackTiles * stack_bytes);
  std::vector<float> row_scales(int4 ? 0 : source.out_features);
  std::vector<std::uint16_t> group_scales(int4 ? tiles * groups * 16 : 0),
      group_zeros(zeros ? group_scales.size() : 0);

  const auto write_stacks = [&](std::int64_t begin, std::int64_t end, std::byte* out) {
    // Rows that lie one behind another in the source are read together, as many as share a line of a GPTQ
    // file.
    constexpr std::int64_t kRows = 16;
    std::vector<std::int8_t> read(kRows * in), read_zeros(kRows * source.groups()), padded(chunks * chunk);
    std::vector<float> read_scales(kRows * source.groups());
    const auto write_row = [&](std::int64_t row, std::int64_t tile, int r, std::int64_t i) {
      const float* scale = read_scales.data() + i * source.groups();
      const std::int8_t* zero = read_zeros.data() + i * source.groups();
      const std::int8_t* values = read.data() + i * in;
      if (in % chunk != 0) {
        std::copy_n(values, in, padded.data());
        std::fill(padded.begin() + in, padded.end(), zero[source.groups() - 1]);  // stands for 0.0
        values = padded.data();
      }
      for (std::int64_t c = 0; c < chunks; ++c) {
        std::byte* to = out + piece_of(tile - begin * kStackTiles, chunks, c) * kTileChunkBytes;
        const std::int8_t* from = values + c * chunk;
        if (int4)
          write_int4_chunk(from, r, to);
        else
          for (int k = 0; k < kInt8Chunk; ++k) to[int8_offset(k, r)] = static_cast<std::byte>(from[k] + 128);
      }
      if (!int4) {
        row_scales[row] = scale[0];
        return;
      }
      for (std::int64_t g = 0; g < groups; ++g) {
        const std::int64_t from = std::min(g * group / source_group, source.groups() - 1),
                           at = piece_of(tile, groups, g) * 16 + r;
        group_scales[at] = tensor::float_to_half(scale[from]);
        if (zeros) group_zeros[at] = tensor::to_bfloat16(128.0f + zero[from]).bits;
      }
    };
    std::memset(out, int4 ? 0x88 : 128, (end - begin) * stack_bytes);
    // With pairs the rows of a half lie together, 8 of each tile.
    const std::int64_t halves = source.pairs ? 2 : 1, in_tile = 16 / halves,
                       half = source.out_features / halves;
    const std::int64_t a_stack = kStackTiles * in_tile;
    for (std::int64_t h = 0; h < halves; ++h) {
      const std::int64_t last = std::min(end * a_stack, half);
      for (std::int64_t first = begin * a_stack; first < last; first += kRows) {
        const std::int64_t count = std::min(kRows, last - first);
        read_quantized_rows(source, h * half + first, count,
                            {read.data(), read_scales.data(), read_zeros.data()});
        for (std::int64_t i = 0; i < count; ++i)
          write_row(h * half + first + i, (first + i) / in_tile,
                    static_cast<int>((first + i) % in_tile + h * in_tile), i);
      }
    }
  };
  stream(weight.data.data(), tiles / kStackTiles, stack_bytes, write_stacks);
  const void* host_scales = int4 ? static_cast<const void*>(group_scales.data()) : row_scales.data();
  const std::size_t scales_bytes =
      group_scales.size() * sizeof(std::uint16_t) + row_scales.size() * sizeof(float);
  weight.scales = arena.allocate(tensor::MemoryTag::kWeights, scales_bytes);
  copy(weight.scales.data(), host_scales, scales_bytes);
  if (!zeros) return;
  weight.offsets = arena.allocate(tensor::MemoryTag::kWeights, group_zeros.size() * sizeof(std::uint16_t));
  copy(weight.offsets.data(), group_zeros.data(), weight.offsets.size());
}

}  // namespace pagoda::kernels::cuda

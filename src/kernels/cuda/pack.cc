#include "kernels/cuda/pack.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "kernels/cuda/check.cuh"
#include "kernels/cuda/tile_layout.cuh"
#include "tensor/dtype.h"

namespace pagoda::kernels::cuda {
namespace {

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

void Packer::stream(std::int64_t units, std::size_t unit_bytes, const Write& write, const Send& send) {
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
    send(first, count, staging);
    CUDA_CHECK(cudaEventRecord(event, cudaStreamPerThread));
    turn_ = 1 - turn_;
  }
}

Packer::Send Packer::copy_to(std::byte* device, std::size_t unit_bytes) {
  return [=](std::int64_t first, std::int64_t count, const std::byte* staging) {
    CUDA_CHECK(cudaMemcpyAsync(device + first * unit_bytes, staging, count * unit_bytes,
                               cudaMemcpyHostToDevice, cudaStreamPerThread));
  };
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
  constexpr std::size_t kChunkBytes = 128;
  weight.data =
      arena.allocate(tensor::MemoryTag::kWeights, padded_rows(source.out_features) * row_bytes + kChunkBytes);
  std::vector<float> scales(fp8 ? padded_rows(source.out_features) : 0);
  const auto write_rows = [&](std::int64_t begin, std::int64_t end, std::byte* out) {
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
  };
  stream(source.out_features, row_bytes, write_rows, copy_to(weight.data.data(), row_bytes));
  if (scales.empty()) return;
  weight.scales = arena.allocate(tensor::MemoryTag::kWeights, scales.size() * sizeof(float));
  copy(weight.scales.data(), scales.data(), weight.scales.size());
}

}  // namespace pagoda::kernels::cuda

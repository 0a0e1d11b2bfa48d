#include "kernels/cpu/limits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/limits.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/limits_avx2.h"
#include "tensor/memory.h"

HWY_BEFORE_NAMESPACE();
namespace pagoda::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Reads [begin, end) in whole cache lines; the result keeps the compiler from dropping the loads.
std::uint64_t Read(const std::byte* begin, const std::byte* end) {
  constexpr hn::CappedTag<std::uint64_t, 8> kTag;
  constexpr std::size_t kLanes = hn::MaxLanes(kTag);
  constexpr std::size_t kStep = 4 * kLanes * sizeof(std::uint64_t);
  auto sum0 = hn::Zero(kTag), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  for (const std::byte* p = begin; p + kStep <= end; p += kStep) {
    const auto* values = reinterpret_cast<const std::uint64_t*>(p);
    sum0 = hn::Add(sum0, hn::LoadU(kTag, values));
    sum1 = hn::Add(sum1, hn::LoadU(kTag, values + kLanes));
    sum2 = hn::Add(sum2, hn::LoadU(kTag, values + 2 * kLanes));
    sum3 = hn::Add(sum3, hn::LoadU(kTag, values + 3 * kLanes));
  }
  return hn::GetLane(hn::SumOfLanes(kTag, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
}

}  // namespace pagoda::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pagoda::kernels::cpu {
HWY_EXPORT(Read);

namespace {

double seconds_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

constexpr std::size_t kBytes = std::size_t{512} << 20, kChunk = std::size_t{1} << 20;

double read_rate(base::ThreadPool& threads, const tensor::Buffer& memory) {
  std::vector<std::uint64_t> sums(threads.size());
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const double seconds = seconds_of([&] {
      threads.run(kBytes / kChunk, 1, [&](std::size_t begin, std::size_t end, int thread) {
        sums[thread] +=
            HWY_DYNAMIC_DISPATCH(Read)(memory.data() + begin * kChunk, memory.data() + end * kChunk);
      });
    });
    best = std::max(best, static_cast<double>(kBytes) / seconds);
  }
  volatile std::uint64_t sink = sums[0];
  static_cast<void>(sink);
  return best;
}

// Multiplications of [m, k] by two panels, operands some 20 KiB: they stay in L1.
double multiply_rate(base::ThreadPool& threads, const PanelKernels& kernels, bool int8, bool amx) {
  constexpr std::int64_t kGroups = 64, kPanels = 2, kCalls = 2000, kShares = 8;
  const std::int64_t rows = amx ? 32 : 24;
  const std::int64_t per_group = int8 ? kInt8Group : kBf16Group;
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const double seconds = seconds_of([&] {
      threads.run(kShares * threads.size(), 1, [&](std::size_t begin, std::size_t end, int) {
        const std::vector<std::byte> a(rows * kGroups * 8), b(kPanels * kGroups * kPanelRowBytes);
        std::vector<float> c(rows * kPanels * kPanelColumns), scale(kPanels * kPanelColumns), row_scale(rows);
        const std::vector<std::int32_t> offset(kPanels * kPanelColumns);
        const std::byte* segment = b.data();
        PanelArgs args;
        args.a = a.data();
        args.a_stride = kGroups * (int8 || kernels.bf16_takes_bf16 ? 4 : 8);
        args.m = rows;
        args.segments = &segment;
        args.groups = kGroups;
        args.panel_stride = kGroups * kPanelRowBytes;
        args.panels = kPanels;
        args.columns = kPanels * kPanelColumns;
        args.c = c.data();
        args.c_stride = args.columns;
        if (int8) {
          args.row_scale = row_scale.data();
          args.column_scale = scale.data();
          args.column_offset = offset.data();
        }
        for (std::size_t share = begin; share < end; ++share)
          for (std::int64_t call = 0; call < kCalls; ++call) (int8 ? kernels.int8 : kernels.bf16)(args);
      });
    });
    const double operations = 2.0 * static_cast<double>(rows * kGroups * per_group * kPanels * kPanelColumns);
    best = std::max(best, operations * kCalls * kShares * threads.size() / seconds);
  }
  return best;
}

double avx2_rate(base::ThreadPool& threads, bool nibbles) {
  constexpr long kRounds = 20000, kShares = 8;
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const double seconds = seconds_of([&] {
      threads.run(kShares * threads.size(), 1, [&](std::size_t begin, std::size_t end, int) {
        for (std::size_t share = begin; share < end; ++share)
          nibbles ? avx2_nibble_products(kRounds) : avx2_byte_products(kRounds);
      });
    });
    const double products = nibbles ? avx2_nibble_products(kRounds) : avx2_byte_products(kRounds);
    best = std::max(best, 2 * products * kShares * threads.size() / seconds);
  }
  return best;
}

}  // namespace
}  // namespace pagoda::kernels::cpu

namespace pagoda::kernels {

struct CpuLimitMeter::State {
  base::ThreadPool threads;
  cpu::Isa isa;
  tensor::Buffer memory;

  double multiply_rate(bool int8) {
    const bool amx = isa.large.bf16 != isa.small.bf16;
    return cpu::multiply_rate(threads, isa.large, int8, amx);
  }
};

CpuLimitMeter::CpuLimitMeter(const CpuOptions& options)
    : state_(new State{base::ThreadPool(options.threads), cpu::select_isa(options.isa, options.deterministic),
                       tensor::Buffer(tensor::MemoryTag::kStaging, cpu::kBytes)}) {
  std::fill_n(state_->memory.as<std::uint64_t>(), cpu::kBytes / sizeof(std::uint64_t),
              1);  // pages that exist
}

CpuLimitMeter::~CpuLimitMeter() = default;

double CpuLimitMeter::read_bytes_per_second() { return cpu::read_rate(state_->threads, state_->memory); }
double CpuLimitMeter::operations_per_second(WeightFormat format) {
  const bool integers = format == WeightFormat::kInt8 || format == WeightFormat::kInt4;
  const double kernel = state_->multiply_rate(integers);
  if (!integers || state_->isa.small.int8 != cpu::avx2_int8_panels) return kernel;
  return std::max(kernel, cpu::avx2_rate(state_->threads, format == WeightFormat::kInt4));
}

}  // namespace pagoda::kernels
#endif

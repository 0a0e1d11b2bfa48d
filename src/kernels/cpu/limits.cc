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

double read_rate(base::ThreadPool& threads) {
  constexpr std::size_t kBytes = std::size_t{1} << 30, kChunk = std::size_t{1} << 20;
  tensor::Buffer memory(tensor::MemoryTag::kStaging, kBytes);
  std::fill_n(memory.as<std::uint64_t>(), kBytes / sizeof(std::uint64_t), 1);  // pages that exist
  std::vector<std::uint64_t> sums(threads.size());
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const double seconds = seconds_of([&] {
      threads.run(kBytes / kChunk, 1, [&](std::size_t begin, std::size_t end, int thread) {
        sums[thread] += HWY_DYNAMIC_DISPATCH(Read)(memory.data() + begin * kChunk, memory.data() + end * kChunk);
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

}  // namespace
}  // namespace pagoda::kernels::cpu

namespace pagoda::kernels {

CpuLimits measure_cpu_limits(const CpuOptions& options) {
  base::ThreadPool threads(options.threads);
  const cpu::Isa isa = cpu::select_isa(options.isa, options.deterministic);
  const bool amx = isa.large.bf16 != isa.small.bf16;
  CpuLimits limits;
  limits.read_bytes_per_second = cpu::read_rate(threads);
  limits.bf16_flops_per_second = cpu::multiply_rate(threads, isa.large, /*int8=*/false, amx);
  limits.int8_ops_per_second = cpu::multiply_rate(threads, isa.large, /*int8=*/true, amx);
  return limits;
}

}  // namespace pagoda::kernels
#endif

// Grouped integer panels in Highway, for CPUs without a kernel of their own (SSE4): bytes are taken apart
// into 16-bit pairs (even and odd bytes), whose products are added in pairs exactly.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/grouped_generic.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/grouped.h"
#include "kernels/cpu/panel.h"

HWY_BEFORE_NAMESPACE();
namespace pagoda::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::CappedTag<float, 16> kF32;
constexpr hn::RebindToSigned<decltype(kF32)> kI32;
constexpr hn::RebindToUnsigned<decltype(kF32)> kU32;
constexpr hn::Repartition<std::int16_t, decltype(kI32)> kI16;
constexpr hn::Repartition<std::uint16_t, decltype(kI32)> kU16;
constexpr hn::Rebind<std::uint8_t, decltype(kF32)> kU8;
constexpr hn::Rebind<hwy::float16_t, decltype(kF32)> kF16;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(kF32));
constexpr int kVectors = static_cast<int>(kPanelColumns) / kLanes;  // registers across a panel
constexpr int kMaxRows = kVectors == 1 ? 8 : kVectors == 2 ? 4 : 2;
using Integers = hn::Vec<decltype(kI32)>;
using Pairs = hn::Vec<decltype(kI16)>;

HWY_INLINE Pairs even_bytes(hn::Vec<decltype(kU16)> bytes) {
  return hn::BitCast(kI16, hn::And(bytes, hn::Set(kU16, 0xff)));
}
HWY_INLINE Pairs odd_bytes(hn::Vec<decltype(kU16)> bytes) {
  return hn::BitCast(kI16, hn::ShiftRight<8>(bytes));
}

// sum[i][j] += four k of row i times four k of the columns of register j.
template <int MR>
HWY_INLINE void MultiplyQuad(Integers (&sum)[MR][kVectors], int j, hn::Vec<decltype(kU16)> weights,
                             const std::byte* a, std::size_t stride) {
  const Pairs even = even_bytes(weights), odd = odd_bytes(weights);
  for (int i = 0; i < MR; ++i) {
    std::int32_t quad;
    std::memcpy(&quad, a + i * stride, sizeof(quad));
    const Pairs both = hn::BitCast(kI16, hn::Set(kI32, quad));
    auto unused = hn::Zero(kI32);  // stays zero on x86, where the pairwise product lands in one sum
    sum[i][j] = hn::ReorderWidenMulAccumulate(kI32, hn::ShiftRight<8>(hn::ShiftLeft<8>(both)), even,
                                              sum[i][j], unused);
    sum[i][j] = hn::ReorderWidenMulAccumulate(kI32, hn::ShiftRight<8>(both), odd, sum[i][j], unused);
  }
}

HWY_INLINE hn::Vec<decltype(kF32)> LoadScales(const GroupedArgs& p, std::int64_t at) {
  if (!p.half_scales) return hn::LoadU(kF32, static_cast<const float*>(p.scales) + at);
  return hn::PromoteTo(kF32, hn::LoadU(kF16, static_cast<const hwy::float16_t*>(p.scales) + at));
}

template <bool kInt4, int MR>
HWY_NOINLINE void Tile(const GroupedArgs& p, std::int64_t row, std::int64_t panel) {
  const std::byte* a = p.a + row * p.a_stride;
  const std::byte* b = p.b + panel * p.panel_stride;
  HWY_ALIGN float total[MR][kPanelColumns] = {};
  for (std::int64_t g = 0; g < p.groups; ++g) {
    Integers sum[MR][kVectors];
    for (int i = 0; i < MR; ++i)
      for (int j = 0; j < kVectors; ++j) sum[i][j] = hn::Zero(kI32);
    for (std::int64_t k = 0; k < p.group; k += kInt4 ? 8 : 4, a += kInt4 ? 8 : 4, b += kPanelRowBytes)
      for (int j = 0; j < kVectors; ++j) {
        const auto raw = hn::LoadU(kU16, reinterpret_cast<const std::uint16_t*>(b) + 2 * j * kLanes);
        if constexpr (kInt4) {
          const auto nibble = hn::Set(kU16, 0x0f0f);
          MultiplyQuad<MR>(sum, j, hn::And(raw, nibble), a, p.a_stride);
          MultiplyQuad<MR>(sum, j, hn::And(hn::ShiftRight<4>(raw), nibble), a + 4, p.a_stride);
        } else {
          MultiplyQuad<MR>(sum, j, raw, a, p.a_stride);
        }
      }
    const std::int64_t at = (panel * p.groups + g) * kPanelColumns;
    for (int j = 0; j < kVectors; ++j) {
      auto zero = hn::Set(kI32, kInt4 ? 8 : 128);
      if (p.zeros != nullptr) zero = hn::PromoteTo(kI32, hn::LoadU(kU8, p.zeros + at + j * kLanes));
      const auto scale = LoadScales(p, grouped_scale_index(p, panel, g) + j * kLanes);
      for (int i = 0; i < MR; ++i) {
        const auto exact = hn::Sub(sum[i][j], hn::Mul(zero, hn::Set(kI32, grouped_a_sums(p, row + i)[g])));
        const auto both = hn::Mul(scale, hn::Set(kF32, grouped_a_scales(p, row + i)[g]));
        float* out = total[i] + j * kLanes;
        hn::Store(hn::MulAdd(hn::ConvertTo(kF32, exact), both, hn::Load(kF32, out)), kF32, out);
      }
    }
  }
  const std::int64_t first = panel * kPanelColumns;
  const std::int64_t valid = std::min<std::int64_t>(p.columns - first, kPanelColumns);
  for (int i = 0; i < MR; ++i) {
    float* out = p.c + (row + i) * p.c_stride + first;
    for (std::int64_t n = 0; n < valid; ++n) out[n] = p.accumulate ? out[n] + total[i][n] : total[i][n];
  }
}

template <bool kInt4, int MR>
HWY_INLINE void TileOfRows(const GroupedArgs& p, std::int64_t row, std::int64_t panel, std::int64_t rows) {
  if constexpr (MR > 1) {
    if (rows < MR) return TileOfRows<kInt4, MR - 1>(p, row, panel, rows);
  }
  Tile<kInt4, MR>(p, row, panel);
}

template <bool kInt4>
void Run(const GroupedArgs& p) {
  for (std::int64_t panel = 0; panel < p.panels; ++panel)
    for (std::int64_t row = 0; row < p.m; row += kMaxRows)
      TileOfRows<kInt4, kMaxRows>(p, row, panel, std::min<std::int64_t>(kMaxRows, p.m - row));
}

void GroupedInt4(const GroupedArgs& p) { Run<true>(p); }
void GroupedInt8(const GroupedArgs& p) { Run<false>(p); }

}  // namespace pagoda::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pagoda::kernels::cpu {

HWY_EXPORT(GroupedInt4);
HWY_EXPORT(GroupedInt8);

GroupedKernels generic_grouped_kernels() {
  return {[](const GroupedArgs& p) {
            HWY_DYNAMIC_DISPATCH(GroupedInt4)
            (p);
          },
          [](const GroupedArgs& p) {
            HWY_DYNAMIC_DISPATCH(GroupedInt8)
            (p);
          },
          [](std::int64_t) -> std::int64_t { return 1; }};
}

}  // namespace pagoda::kernels::cpu
#endif

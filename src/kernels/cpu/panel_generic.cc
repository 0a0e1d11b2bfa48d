// Panels in Highway: float FMA on BF16 weights (A is float), integer multiply-add on INT8 weights. Compiled
// once per instruction set and chosen at run time; the kernels of AVX-512's BF16 and VNNI are in
// panel_avx512.cc.
//
// BF16: a 32-bit lane holds two consecutive k of one column; the low one is (lane << 16), the high one (lane
// & ~0xffff). On Zen 3 a tile of 6 x 2 registers, one half after the other, reaches 15.5 products a cycle of
// the 16 of two FMAs; a tile of 4 x 2 with both halves at once spilled two sums and reached 7. INT8: a lane
// holds four; taken apart into 16-bit pairs (even and odd bytes), which multiply with pairs of A exactly.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/panel_generic.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/panel.h"

HWY_BEFORE_NAMESPACE();
namespace pagoda::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::CappedTag<float, 16> kF32;
constexpr hn::RebindToSigned<decltype(kF32)> kI32;
constexpr hn::RebindToUnsigned<decltype(kF32)> kU32;
constexpr hn::Repartition<std::int16_t, decltype(kI32)> kI16;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(kF32));
constexpr int kVectors = static_cast<int>(kPanelColumns) / kLanes;  // registers across a panel

// Accumulators must fit the register file beside two operands: 16 registers below AVX-512, 32 there.
constexpr int kMaxRows = kVectors == 1 ? 8 : kVectors == 2 ? 6 : 2;
// Rows of A that are multiplied with one panel after another before the next rows: they stay in L2 meanwhile.
constexpr std::int64_t kBlockBytes = 256 << 10;

struct Bf16Dot {
  using Sum = hn::Vec<decltype(kF32)>;
  static constexpr std::size_t kGroupBytes = 8;  // two floats of A
  static HWY_INLINE Sum start(const PanelArgs& p, const float* c) {
    return p.chain ? hn::LoadU(kF32, c) : hn::Zero(kF32);
  }
  template <int MR>
  static HWY_INLINE void step(Sum (&sum)[MR][kVectors], const char* a, std::size_t stride,
                              const std::byte* b) {
    // One half after the other, so that 12 accumulators, two registers of B and one of A fit into 16.
    Sum column[kVectors];
    for (int j = 0; j < kVectors; ++j)
      column[j] = hn::BitCast(
          kF32, hn::ShiftLeft<16>(hn::LoadU(kU32, reinterpret_cast<const std::uint32_t*>(b) + j * kLanes)));
    for (int i = 0; i < MR; ++i) add_row(sum[i], a + i * stride, column);
    for (int j = 0; j < kVectors; ++j)
      column[j] =
          hn::BitCast(kF32, hn::And(hn::LoadU(kU32, reinterpret_cast<const std::uint32_t*>(b) + j * kLanes),
                                    hn::Set(kU32, 0xffff0000u)));
    for (int i = 0; i < MR; ++i) add_row(sum[i], a + i * stride + sizeof(float), column);
  }
  static HWY_INLINE void add_row(Sum (&sum)[kVectors], const char* a, const Sum (&column)[kVectors]) {
    float value;
    std::memcpy(&value, a, sizeof(value));
    for (int j = 0; j < kVectors; ++j) sum[j] = hn::MulAdd(hn::Set(kF32, value), column[j], sum[j]);
  }
  static HWY_INLINE Sum finish(const PanelArgs&, Sum sum, std::int64_t, const float*, const std::int32_t*) {
    return sum;
  }
};

struct Int8Dot {
  using Sum = hn::Vec<decltype(kI32)>;
  static constexpr std::size_t kGroupBytes = 4;  // four bytes of A
  static HWY_INLINE Sum start(const PanelArgs&, const float*) { return hn::Zero(kI32); }
  template <int MR>
  static HWY_INLINE void step(Sum (&sum)[MR][kVectors], const char* a, std::size_t stride,
                              const std::byte* b) {
    for (int j = 0; j < kVectors; ++j) {
      const auto lanes = hn::LoadU(kI16, reinterpret_cast<const std::int16_t*>(b) + 2 * j * kLanes);
      const auto even = hn::ShiftRight<8>(hn::ShiftLeft<8>(lanes));
      const auto odd = hn::ShiftRight<8>(lanes);
      for (int i = 0; i < MR; ++i) {
        std::uint32_t quad;
        std::memcpy(&quad, a + i * stride, sizeof(quad));
        const auto a_even = hn::BitCast(kI16, hn::Set(kU32, quad & 0x00ff00ffu));
        const auto a_odd = hn::BitCast(kI16, hn::Set(kU32, (quad >> 8) & 0x00ff00ffu));
        auto unused = hn::Zero(kI32);  // stays zero on x86, where the pairwise product lands in one sum
        sum[i][j] = hn::ReorderWidenMulAccumulate(kI32, a_even, even, sum[i][j], unused);
        sum[i][j] = hn::ReorderWidenMulAccumulate(kI32, a_odd, odd, sum[i][j], unused);
      }
    }
  }
  static HWY_INLINE hn::Vec<decltype(kF32)> finish(const PanelArgs& p, Sum sum, std::int64_t row,
                                                   const float* scale, const std::int32_t* offset) {
    const auto exact = hn::Sub(sum, hn::LoadU(kI32, offset));
    const auto both = hn::Mul(hn::LoadU(kF32, scale), hn::Set(kF32, p.row_scale[row]));
    return hn::Mul(hn::ConvertTo(kF32, exact), both);
  }
};

template <typename Dot, int MR>
void Tile(const PanelArgs& p, std::int64_t row, std::int64_t panel) {
  const std::int64_t first = panel * kPanelColumns;
  const std::int64_t valid = std::min<std::int64_t>(p.columns - first, kPanelColumns);
  float* c = p.c + row * p.c_stride + first;
  float value[kPanelColumns] =
      {};  // the last panel may be narrower than its registers: C goes through a copy
  typename Dot::Sum sum[MR][kVectors];
  for (int i = 0; i < MR; ++i) {
    if (p.chain) std::copy_n(c + i * p.c_stride, valid, value);
    for (int j = 0; j < kVectors; ++j) sum[i][j] = Dot::start(p, value + j * kLanes);
  }
  const char* a = static_cast<const char*>(p.a) + row * p.a_stride;
  for (std::int64_t s = 0; s < p.num_segments; ++s) {
    const std::byte* b = panel_base(p, s, panel);
    for (std::int64_t g = 0; g < p.groups; ++g, a += Dot::kGroupBytes, b += kPanelRowBytes)
      Dot::template step<MR>(sum, a, p.a_stride, b);
  }
  float scale[kPanelColumns] = {};
  std::int32_t offset[kPanelColumns] = {};
  if (p.column_scale != nullptr) {
    std::copy_n(p.column_scale + first, valid, scale);
    std::copy_n(p.column_offset + first, valid, offset);
  }
  for (int i = 0; i < MR; ++i) {
    for (int j = 0; j < kVectors; ++j)
      hn::StoreU(Dot::finish(p, sum[i][j], row + i, scale + j * kLanes, offset + j * kLanes), kF32,
                 value + j * kLanes);
    float* out = c + i * p.c_stride;
    for (std::int64_t n = 0; n < valid; ++n) out[n] = p.accumulate ? out[n] + value[n] : value[n];
  }
}

template <typename Dot, int MR>
HWY_INLINE void TileOfRows(const PanelArgs& p, std::int64_t row, std::int64_t panel, std::int64_t rows) {
  if constexpr (MR > 1) {
    if (rows < MR) return TileOfRows<Dot, MR - 1>(p, row, panel, rows);
  }
  Tile<Dot, MR>(p, row, panel);
}

template <typename Dot>
void Run(const PanelArgs& p) {
  const std::int64_t row_bytes = 1 + p.num_segments * p.groups * static_cast<std::int64_t>(Dot::kGroupBytes);
  const std::int64_t block = std::max<std::int64_t>(kBlockBytes / row_bytes / kMaxRows, 1) * kMaxRows;
  for (std::int64_t begin = 0; begin < p.m; begin += block) {
    const std::int64_t rows = std::min(block, p.m - begin), tiles = (rows + kMaxRows - 1) / kMaxRows;
    for (std::int64_t panel = 0; panel < p.panels; ++panel)
      for (std::int64_t t = 0; t < tiles; ++t) {  // in equal shares
        const std::int64_t first = t * rows / tiles, last = (t + 1) * rows / tiles;
        TileOfRows<Dot, kMaxRows>(p, begin + first, panel, last - first);
      }
  }
}

const char* Name() { return hwy::TargetName(HWY_TARGET); }
void RunBf16(const PanelArgs& p) { Run<Bf16Dot>(p); }
void RunInt8(const PanelArgs& p) { Run<Int8Dot>(p); }

}  // namespace pagoda::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pagoda::kernels::cpu {

HWY_EXPORT(Name);
HWY_EXPORT(RunBf16);
HWY_EXPORT(RunInt8);

PanelKernels generic_kernels() {
  PanelKernels kernels{};
  kernels.name = HWY_DYNAMIC_DISPATCH(Name)();
  kernels.bf16 = [](const PanelArgs& p) { HWY_DYNAMIC_DISPATCH(RunBf16)(p); };
  kernels.bf16_takes_bf16 = false;
  kernels.int8 = [](const PanelArgs& p) { HWY_DYNAMIC_DISPATCH(RunInt8)(p); };
  kernels.int8_takes_signed = false;
  kernels.panels_at_once = [](std::int64_t) -> std::int64_t { return 1; };
  return kernels;
}

}  // namespace pagoda::kernels::cpu
#endif

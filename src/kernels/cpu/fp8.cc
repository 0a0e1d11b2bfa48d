#include "kernels/cpu/fp8.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/fp8.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace pagoda::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::CappedTag<float, 16> kF32;
constexpr hn::RebindToSigned<decltype(kF32)> kI32;
constexpr hn::RebindToUnsigned<decltype(kF32)> kU32;
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(kF32));

// The bits of the float that the e4m3 byte on top of each lane stands for. Moved by 4, its exponent and
// fraction lie where a float has the lower end of its exponent and the upper end of its fraction; the
// multiplication makes up for the bias (127 - 7), and turns subnormals into normal numbers.
HWY_INLINE hn::Vec<decltype(kU32)> Decode(hn::Vec<decltype(kU32)> top) {
  const auto moved = hn::ShiftRight<4>(hn::BitCast(kI32, top));  // the sign stays on top
  const auto bits = hn::And(hn::BitCast(kU32, moved), hn::Set(kU32, 0x87f00000u));
  const auto bias = hn::BitCast(kF32, hn::Set(kU32, (127u + 120u) << 23));
  return hn::BitCast(kU32, hn::Mul(hn::BitCast(kF32, bits), bias));
}

void DecodePanel(const std::byte* panel, std::int64_t groups, std::byte* out) {
  const auto* quads = reinterpret_cast<const std::uint32_t*>(panel);
  auto* pairs = reinterpret_cast<std::uint32_t*>(out);
  const auto upper = hn::Set(kU32, 0xffff0000u);
  for (std::int64_t g = 0; g < groups; ++g, quads += kPanelColumns, pairs += 2 * kPanelColumns)
    for (std::int64_t lane = 0; lane < kPanelColumns; lane += kLanes) {
      const auto quad = hn::LoadU(kU32, quads + lane);
      const auto first = hn::Or(hn::ShiftRight<16>(Decode(hn::ShiftLeft<24>(quad))),
                                hn::And(Decode(hn::ShiftLeft<16>(quad)), upper));
      const auto second =
          hn::Or(hn::ShiftRight<16>(Decode(hn::ShiftLeft<8>(quad))), hn::And(Decode(quad), upper));
      hn::StoreU(first, kU32, pairs + lane);
      hn::StoreU(second, kU32, pairs + kPanelColumns + lane);
    }
}

void Scale(const float* in, const float* scale, std::int64_t n, bool accumulate, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = accumulate ? out[i] + in[i] * scale[i] : in[i] * scale[i];
}

constexpr int kVectors = static_cast<int>(kPanelColumns / kLanes);  // registers across a panel
constexpr int kPanelsAtOnce =
    kVectors == 4 ? 2 : 4;  // 8 sums (4 with AVX-512): they wait for one another less

// One row of float A by NP panels without decoding into memory: for few rows that costs more than
// multiplying. The sums are those of the BF16 kernel on decoded pieces, addition for addition.
template <int NP>
HWY_INLINE void DotPanels(const Fp8Args& p, std::int64_t row, std::int64_t panel, float* out) {
  const auto* a = reinterpret_cast<const float*>(p.a + row * p.a_stride);
  const std::byte* b = p.b + panel * p.panel_stride;
  for (std::int64_t first = 0; first < p.groups; first += kFp8PieceGroups) {
    hn::Vec<decltype(kF32)> sum[NP][kVectors];
    for (int i = 0; i < NP; ++i)
      for (int j = 0; j < kVectors; ++j) sum[i][j] = hn::Zero(kF32);
    const std::int64_t last = std::min(first + kFp8PieceGroups, p.groups);
    for (std::int64_t g = first; g < last; ++g)
      for (int i = 0; i < NP; ++i)
        for (int j = 0; j < kVectors; ++j) {
          const auto quad = hn::LoadU(
              kU32, reinterpret_cast<const std::uint32_t*>(b + i * p.panel_stride + g * kPanelRowBytes) +
                        j * kLanes);
          const auto add = [&](hn::Vec<decltype(kU32)> top, int k) HWY_ATTR {
            sum[i][j] = hn::MulAdd(hn::Set(kF32, a[4 * g + k]), hn::BitCast(kF32, Decode(top)), sum[i][j]);
          };
          add(hn::ShiftLeft<24>(quad), 0);
          add(hn::ShiftLeft<16>(quad), 1);
          add(hn::ShiftLeft<8>(quad), 2);
          add(quad, 3);
        }
    for (int i = 0; i < NP; ++i)
      for (int j = 0; j < kVectors; ++j) {
        float* at = out + i * kPanelColumns + j * kLanes;
        hn::StoreU(first == 0 ? sum[i][j] : hn::Add(hn::LoadU(kF32, at), sum[i][j]), kF32, at);
      }
  }
}

void FewRows(const Fp8Args& p) {
  float sums[kPanelsAtOnce * kPanelColumns];
  for (std::int64_t panel = 0; panel < p.panels; panel += kPanelsAtOnce)
    for (std::int64_t row = 0; row < p.m; ++row) {
      const std::int64_t panels = std::min<std::int64_t>(kPanelsAtOnce, p.panels - panel);
      if (panels == kPanelsAtOnce)
        DotPanels<kPanelsAtOnce>(p, row, panel, sums);
      else
        for (std::int64_t i = 0; i < panels; ++i) DotPanels<1>(p, row, panel + i, sums + i * kPanelColumns);
      const std::int64_t first = panel * kPanelColumns;
      Scale(sums, p.scales + first, std::min(panels * kPanelColumns, p.columns - first), p.accumulate,
            p.c + row * p.c_stride + first);
    }
}

}  // namespace pagoda::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pagoda::kernels::cpu {

HWY_EXPORT(DecodePanel);
HWY_EXPORT(Scale);
HWY_EXPORT(FewRows);

namespace {

// 4 panels of 256 inputs are 32 KiB of BF16, and 64 rows of sums 16 KiB. Both on the stack.
constexpr std::int64_t kPiecePanels = 4, kPieceGroups = kFp8PieceGroups, kPieceRows = 64;
constexpr std::int64_t kFewRows = 1;  // two cost as much as decoding (Zen 3)

}  // namespace

void decode_fp8_panel(const std::byte* panel, std::int64_t groups, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(DecodePanel)(panel, groups, out);
}

void fp8_panels(const Fp8Args& args, PanelKernel kernel) {
  if (args.m <= kFewRows && args.a_element == sizeof(float)) return HWY_DYNAMIC_DISPATCH(FewRows)(args);
  alignas(64) std::byte decoded[kPiecePanels * kPieceGroups * 2 * kPanelRowBytes];
  alignas(64) float sums[kPieceRows * kPiecePanels * kPanelColumns];
  constexpr std::int64_t kWidth = kPiecePanels * kPanelColumns;
  for (std::int64_t panel = 0; panel < args.panels; panel += kPiecePanels) {
    const std::int64_t panels = std::min(kPiecePanels, args.panels - panel);
    const std::int64_t first = panel * kPanelColumns;
    const std::int64_t columns = std::min(panels * kPanelColumns, args.columns - first);
    for (std::int64_t row = 0; row < args.m; row += kPieceRows) {
      const std::int64_t rows = std::min(kPieceRows, args.m - row);
      for (std::int64_t g = 0; g < args.groups; g += kPieceGroups) {
        const std::int64_t groups = std::min(kPieceGroups, args.groups - g);
        const std::size_t stride = groups * 2 * kPanelRowBytes;
        for (std::int64_t i = 0; i < panels; ++i)
          decode_fp8_panel(args.b + (panel + i) * args.panel_stride + g * kPanelRowBytes, groups,
                           decoded + i * stride);
        const std::byte* segment = decoded;
        PanelArgs piece;
        piece.a = args.a + row * args.a_stride + g * kInt8Group * args.a_element;
        piece.a_stride = args.a_stride;
        piece.m = rows;
        piece.segments = &segment;
        piece.groups = 2 * groups;
        piece.panel_stride = stride;
        piece.panels = panels;
        piece.columns = columns;
        piece.c = sums;
        piece.c_stride = kWidth;
        piece.accumulate = g > 0;
        kernel(piece);
      }
      for (std::int64_t i = 0; i < rows; ++i) HWY_DYNAMIC_DISPATCH(Scale)
      (sums + i * kWidth, args.scales + first, columns, args.accumulate,
       args.c + (row + i) * args.c_stride + first);
    }
  }
}

}  // namespace pagoda::kernels::cpu
#endif

#pragma once
// The one matrix product of the CPU backend: C[m, n] (+)= A[m, k] * B, with B packed in panels.
//
// A panel is 16 output columns wide. Its rows are groups of consecutive k (2 for BF16, 4 for INT8), so that
// one row is 64 bytes: [16 columns][group]. That is one AVX-512 register for VDPBF16PS / VPDPBUSD and one row
// of an AMX B tile, so a single layout serves every instruction set, at batch 1 and at batch 512. Weights,
// keys and values are all stored so:
//   weights  [panels][k groups][16][group]          one segment
//   keys     a block is [head_dim / 2][16 tokens][2]: columns are tokens
//   values   a block is [head_dim / 16][block_size / 2][16][2]: k runs over tokens, blocks are segments
//
// Each element of C is one chain of additions over k in ascending order, for any m and any tiling: see ops.h.

#include <cstddef>
#include <cstdint>

namespace pagoda::kernels::cpu {

inline constexpr std::int64_t kPanelColumns = 16;
inline constexpr std::size_t kPanelRowBytes = 64;
inline constexpr std::int64_t kBf16Group = 2;
inline constexpr std::int64_t kInt8Group = 4;

struct PanelArgs {
  const void* a = nullptr;   // [m, k]: BF16, float or uint8 by kernel; k padded to whole groups with zeros
  std::size_t a_stride = 0;  // bytes
  std::int64_t m = 0;
  const std::byte* const* segments = nullptr;  // k runs through the segments in turn
  std::int64_t num_segments = 1;
  std::int64_t groups = 0;       // k groups in a segment
  std::size_t panel_stride = 0;  // bytes from a panel to the next one in a segment
  const std::byte* const* panel_bases =
      nullptr;  // instead of segments: where each panel lies (keys of several blocks)
  std::int64_t panels = 0;
  std::int64_t columns = 0;   // valid columns of C, in (16 * (panels - 1), 16 * panels]
  float* c = nullptr;         // [m, columns]
  std::int64_t c_stride = 0;  // elements
  bool accumulate = false;    // C += the product
  bool chain = false;  // float sums go on from C, as if an earlier call's k had been part of this one's
  // INT8 only: C = (sum - offset[column]) * row_scale[row] * column_scale[column].
  const float* row_scale = nullptr;
  const float* column_scale = nullptr;
  const std::int32_t* column_offset = nullptr;
};

// Where panel `panel` of segment `segment` begins. Static: each file keeps the copy made for its instruction
// set.
static inline const std::byte* panel_base(const PanelArgs& args, std::int64_t segment, std::int64_t panel) {
  if (args.panel_bases != nullptr) return args.panel_bases[panel];
  return args.segments[segment] + panel * args.panel_stride;
}

using PanelKernel = void (*)(const PanelArgs&);

// What the kernels of one instruction set want and do.
struct PanelKernels {
  const char* name;
  PanelKernel bf16;        // BF16 panels
  bool bf16_takes_bf16;    // A is BF16 for `bf16`, else float
  PanelKernel int8;        // INT8 panels: what limits.h measures the rate of integers with; linear layers
                           // of INT8 are grouped (grouped.h)
  bool int8_takes_signed;  // A is int8 for `int8` and column_offset is not used; else uint8 (value + 128)
  // Panels computed side by side at this m: work is best handed out in multiples of it.
  std::int64_t (*panels_at_once)(std::int64_t m);
};

// Highway, for the best of SSE4, AVX2 and AVX-512F that the CPU has (or that Highway was told to use).
PanelKernels generic_kernels();

// The kernels below are compiled for instruction sets that the CPU may lack: isa.cc asks before anything of
// their files runs, and those files hold nothing else.

void avx2_int8_panels(const PanelArgs& args);  // needs AVX2 and FMA; groups a multiple of 8; A is int8

// Rows that an AVX-512 tile holds at most, and panels beside one another for tiles of so many rows: 24
// accumulators.
inline constexpr std::int64_t kAvx512Rows = 12;
constexpr std::int64_t avx512_panels_at_once(std::int64_t m) {
  const std::int64_t tiles = (m + kAvx512Rows - 1) / kAvx512Rows;
  const std::int64_t rows = (m + tiles - 1) / tiles;  // of the largest tile
  return rows <= 6 ? 4 : rows <= 8 ? 3 : 2;
}
void avx512_bf16_panels(const PanelArgs& args);  // needs AVX512_BF16
void avx512_int8_panels(const PanelArgs& args);  // needs AVX512_VNNI

// AMX: one segment, no panel_bases. Worth it from kAmxMinRows rows. A is read in whole tiles: rows must be
// readable up to the next multiple of 16, k groups to one of 16.
void amx_bf16_panels(const PanelArgs& args);
void amx_int8_panels(const PanelArgs& args);
inline constexpr std::int64_t kAmxMinRows = 16;
inline constexpr std::int64_t kAmxRowMultiple = 16;
inline constexpr std::int64_t kAmxGroupMultiple = 16;

}  // namespace pagoda::kernels::cpu

#pragma once
// The matrix product with integer weights that have a scale (and perhaps a zero point) per group of inputs:
// INT4, and INT8 by groups. Activations are INT8 with a scale of their own per token and group: it costs one
// multiplication a group, and where a few channels are large (4 of 2048, 100 times) the error of a product is
// a third of that with one scale a token.
//
//   C[m, n] (+)= sum over groups g of  a_scale[m, g] * scale[g, n] * (sum over k in g of (w[k, n] - zero[g,
//   n]) * a[m, k])
//
// The inner sum is exact in integers, as  sum w a - zero * sum a; the outer one is in float, in ascending
// order of groups for any m and any tiling (see ops.h). Weights are unsigned bytes here, which is what
// VPMADDUBSW, VPDPBUSD and TDPBSUD take beside signed activations: INT4 as it is, INT8 with 128 added to
// value and zero.
//
// Panels are those of panel.h, 16 columns wide in rows of 64 bytes:
//   INT8  [k / 4][16][4]                a row is 4 k
//   INT4  [k / 8][16][4] bytes          a row is 8 k: byte i of a column holds k + i below and k + 4 + i
//   above,
//                                       so that an AND and a shift make two INT8 rows of it
//
// A row of A is [k] signed bytes, padded with zeros to whole groups; then, at grouped_scales_offset(), one
// float scale and one int32 sum of the bytes per group.

#include <cstddef>
#include <cstdint>

namespace pagoda::kernels::cpu {

// Groups are computed in one of these sizes: the largest that divides the file's (0: 128), whose scale is
// then stored more than once. At most 128, so that the sum of a group's activations fits 16 bits.
constexpr std::int64_t grouped_size(std::int64_t file_group_size) {
  return file_group_size % 128 == 0 ? 128 : file_group_size % 64 == 0 ? 64 : 32;
}
constexpr std::int64_t grouped_count(std::int64_t in_features, std::int64_t group) {
  return (in_features + group - 1) / group;
}
// Bytes into a row of A.
constexpr std::size_t grouped_scales_offset(std::int64_t groups, std::int64_t group) {
  return (static_cast<std::size_t>(groups * group) + 63) / 64 * 64;
}

struct GroupedArgs {
  const std::byte* a = nullptr;
  std::size_t a_stride = 0;  // bytes
  std::int64_t m = 0;
  const std::byte* b = nullptr;  // the first panel
  std::size_t panel_stride = 0;  // bytes
  std::int64_t panels = 0;
  std::int64_t groups = 0;
  std::int64_t group = 0;         // inputs: 32, 64 or 128
  const void* scales = nullptr;   // [panels][scale_groups][16]: FP16 or float
  std::int64_t scale_groups = 0;  // as groups, or 1: all groups of a column share theirs
  bool half_scales = false;
  // [panels][groups][16], within the range of the weights; null: 8 (INT4), 128 (INT8).
  const std::uint8_t* zeros = nullptr;
  std::int64_t columns = 0;   // valid columns of C, in (16 * (panels - 1), 16 * panels]
  float* c = nullptr;         // [m, columns]
  std::int64_t c_stride = 0;  // elements
  bool accumulate = false;    // C += the product
};

static inline const float* grouped_a_scales(const GroupedArgs& p, std::int64_t row) {
  return reinterpret_cast<const float*>(p.a + row * p.a_stride + grouped_scales_offset(p.groups, p.group));
}
static inline const std::int32_t* grouped_a_sums(const GroupedArgs& p, std::int64_t row) {
  return reinterpret_cast<const std::int32_t*>(grouped_a_scales(p, row) + p.groups);
}

static inline std::int64_t grouped_scale_index(const GroupedArgs& p, std::int64_t panel, std::int64_t g) {
  return (panel * p.scale_groups + (p.scale_groups == 1 ? 0 : g)) * 16;
}

using GroupedKernel = void (*)(const GroupedArgs&);

struct GroupedKernels {
  GroupedKernel int4;
  GroupedKernel int8;
  std::int64_t (*panels_at_once)(std::int64_t m);  // as in PanelKernels
};

GroupedKernels generic_grouped_kernels();  // Highway

// Compiled for instruction sets that the CPU may lack: see panel.h.
void avx2_grouped_int4(const GroupedArgs& args);  // needs AVX2, FMA and F16C
void avx2_grouped_int8(const GroupedArgs& args);
void avx512_grouped_int4(const GroupedArgs& args);  // needs AVX512_VNNI
void avx512_grouped_int8(const GroupedArgs& args);
void amx_grouped_int4(const GroupedArgs& args);  // needs AMX-INT8; rows of A readable up to a multiple of 16
void amx_grouped_int8(const GroupedArgs& args);

}  // namespace pagoda::kernels::cpu

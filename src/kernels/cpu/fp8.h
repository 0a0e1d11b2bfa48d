#pragma once
// out (+)= x W^T with W in e4m3 bytes. Every e4m3 value is a BF16 value, so panels are decoded piece by piece
// into a buffer that stays in L2 and multiplied by the BF16 kernels; a product reads one byte a weight from
// memory. A piece is always the same inputs, so the order of additions does not depend on the batch.
//
// Layout: rows of 64 bytes, [k / 4][16 columns][4], as INT8.

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/panel.h"

namespace pagoda::kernels::cpu {

inline constexpr std::int64_t kFp8PieceGroups = 64;  // quads of a piece

struct Fp8Args {
  const std::byte* a = nullptr;  // as `kernel` wants it
  std::size_t a_stride = 0;      // bytes
  std::size_t a_element = 0;     // bytes: 2 (BF16) or 4 (float)
  std::int64_t m = 0;
  const std::byte* b = nullptr;  // the first panel
  std::size_t panel_stride = 0;  // bytes
  std::int64_t groups = 0;       // quads in a panel, a multiple of 16
  std::int64_t panels = 0;
  const float* scales = nullptr;  // [columns]
  std::int64_t columns = 0;
  float* c = nullptr;         // [m, columns]
  std::int64_t c_stride = 0;  // elements
  bool accumulate = false;
};

void fp8_panels(const Fp8Args& args, PanelKernel kernel);

// `groups` quads of a panel become 2 * groups rows of pairs. Finite values only: 0x7f and 0xff come out as
// 480.
void decode_fp8_panel(const std::byte* panel, std::int64_t groups, std::byte* out);

}  // namespace pagoda::kernels::cpu

#pragma once
// How the AVX-512 kernels cut rows and panels into tiles whose sums fit in registers. Static: each file keeps
// the copy made for its instruction set.

#include <cstdint>

#include "kernels/cpu/panel.h"

namespace pagoda::kernels::cpu {

// The rows [begin, end) of NP panels, in equal shares of at most kAvx512Rows. `tile` computes MR rows of NP
// panels: tile.operator()<MR, NP>(row, panel).
template <int NP, typename Tile>
static void rows_of_tiles(std::int64_t begin, std::int64_t end, std::int64_t panel, const Tile& tile) {
  for (std::int64_t left = (end - begin + kAvx512Rows - 1) / kAvx512Rows; left > 0; --left) {
    const std::int64_t rows = (end - begin) / left;
    switch (rows) {
#define PAGODA_ROWS(MR)                                                          \
  case MR:                                                                       \
    if constexpr (MR * NP <= 24) tile.template operator()<MR, NP>(begin, panel); \
    break;
      PAGODA_ROWS(1)
      PAGODA_ROWS(2)
      PAGODA_ROWS(3)
      PAGODA_ROWS(4)
      PAGODA_ROWS(5)
      PAGODA_ROWS(6)
      PAGODA_ROWS(7)
      PAGODA_ROWS(8)
      PAGODA_ROWS(9)
      PAGODA_ROWS(10)
      PAGODA_ROWS(11)
      PAGODA_ROWS(12)
#undef PAGODA_ROWS
    }
    begin += rows;
  }
}

// All panels, so many at once as hold for the tallest tile of [begin, end), hence for all of them. Needs a
// row.
template <typename Tile>
static void all_tiles(std::int64_t begin, std::int64_t end, std::int64_t panels, const Tile& tile) {
  const std::int64_t width = avx512_panels_at_once(end - begin);
  std::int64_t panel = 0;
  while (panel < panels) {
    const std::int64_t left = panels - panel;
    if (width == 4 && left >= 4) {
      rows_of_tiles<4>(begin, end, panel, tile);
      panel += 4;
    } else if (width >= 3 && left >= 3) {
      rows_of_tiles<3>(begin, end, panel, tile);
      panel += 3;
    } else if (left >= 2) {
      rows_of_tiles<2>(begin, end, panel, tile);
      panel += 2;
    } else {
      rows_of_tiles<1>(begin, end, panel, tile);
      panel += 1;
    }
  }
}

}  // namespace pagoda::kernels::cpu

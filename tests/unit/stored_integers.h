#pragma once
// Where kernels/weight.h says that a value lies in StoredIntegers.

#include "kernels/weight.h"

namespace pagoda::kernels {

// kInt4: which nibble of the file, counted from the low half of the first byte, is value k of row `row`, of
// `rows` rows with `in` values.
inline std::int64_t stored_nibble(StoredIntegers::Order order, std::int64_t rows, std::int64_t in,
                                  std::int64_t row, std::int64_t k) {
  constexpr int kNibbleOfRow[] = {0, 4, 1, 5, 2, 6, 3, 7};
  switch (order) {
    case StoredIntegers::Order::kInputWords:
      return (k / 8 * rows + row) * 8 + k % 8;
    case StoredIntegers::Order::kOutputWords:
      return (k * (rows / 8) + row / 8) * 8 + kNibbleOfRow[row % 8];
    case StoredIntegers::Order::kRows:
      return row * in + k;
  }
  return -1;
}

}  // namespace pagoda::kernels

#pragma once
// Which kernels this machine gets.

#include <string>

#include "kernels/cpu/grouped.h"
#include "kernels/cpu/panel.h"

namespace pagoda::kernels::cpu {

struct Isa {
  std::string name;    // "avx512-bf16+vnni", "AVX2", ...
  PanelKernels small;  // any m; also attention
  PanelKernels large;  // from kAmxMinRows rows, one segment; equals `small` without AMX
  GroupedKernels grouped_small, grouped_large;  // likewise

  const PanelKernels& for_rows(std::int64_t m) const { return m >= kAmxMinRows ? large : small; }
  const GroupedKernels& grouped_for_rows(std::int64_t m) const {
    return m >= kAmxMinRows ? grouped_large : grouped_small;
  }
};

// `wanted` as CpuOptions::isa. Restricts Highway process-wide when it names one of its targets. An ISA the
// machine lacks falls back to the best below it, which the name tells.
Isa select_isa(const std::string& wanted, bool deterministic);

}  // namespace pagoda::kernels::cpu

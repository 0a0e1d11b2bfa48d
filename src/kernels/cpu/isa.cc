#include "kernels/cpu/isa.h"

#include <hwy/highway.h>

#include "base/check.h"

namespace pagoda::kernels::cpu {
namespace {

// Highway's targets up to and including the wanted one; 0 lifts the restriction.
void restrict_highway(const std::string& wanted) {
  std::int64_t targets = 0;
  if (wanted == "sse4") targets = HWY_SSE4;
  if (wanted == "avx2") targets = HWY_AVX2;
  if (wanted == "avx512") targets = HWY_AVX3;
  hwy::SetSupportedTargetsForTest(0);
  if (targets == 0 || (hwy::SupportedTargets() & targets) == 0) return;
  hwy::SetSupportedTargetsForTest(targets);
}

}  // namespace

Isa select_isa(const std::string& wanted, bool deterministic) {
  CHECK(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes"));  // any x86-64 since 2010
  restrict_highway(wanted);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  Isa isa;
  isa.small = generic_kernels();
  isa.name = isa.small.name;
  const bool highway_only = wanted == "sse4" || wanted == "avx2" || wanted == "avx512";
  if (!highway_only) {
    const PanelKernels avx512 = avx512_kernels();
    if (avx512.bf16 != nullptr) {
      isa.small.bf16 = avx512.bf16;
      isa.small.bf16_takes_bf16 = true;
      isa.small.panels_at_once = avx512.panels_at_once;
      isa.name += "+bf16";
    }
    if (avx512.int8 != nullptr) {
      isa.small.int8 = avx512.int8;
      isa.small.panels_at_once = avx512.panels_at_once;
      isa.name += "+vnni";
    }
  }
  isa.large = isa.small;
  const PanelKernels amx = amx_kernels();
  // Rows of A must have one type for both kernels, so AMX comes with AVX-512 BF16 or not at all.
  const bool amx_wanted = wanted.empty() || wanted == "amx";
  if (amx_wanted && !deterministic && amx.bf16 != nullptr && isa.small.bf16_takes_bf16) {
    isa.large = amx;
    isa.name += "+amx";
  }
  return isa;
}

}  // namespace pagoda::kernels::cpu

#include "kernels/cpu/isa.h"

#include <hwy/highway.h>
#include <sys/syscall.h>
#include <unistd.h>

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

// CPUID leaf 1: ECX bit 29. Clang 14 has no name for it in __builtin_cpu_supports.
bool f16c_available() {
  unsigned eax = 1, ebx, ecx = 0, edx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  return (ecx & (1u << 29)) != 0;
}

// CPUID leaf 7: EDX bits 22 (AMX-BF16), 24 (AMX-TILE), 25 (AMX-INT8); then permission for the tile state.
bool amx_available() {
  unsigned eax = 7, ebx, ecx = 0, edx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  constexpr unsigned kWanted = (1u << 22) | (1u << 24) | (1u << 25);
  if ((edx & kWanted) != kWanted) return false;
  constexpr int kArchReqXcompPerm = 0x1023;
  constexpr int kXfeatureTileData = 18;
  return ::syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
}

}  // namespace

Isa select_isa(const std::string& wanted, bool deterministic) {
  __builtin_cpu_init();
  CHECK(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes"));  // any x86-64 since 2010
  restrict_highway(wanted);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  Isa isa;
  isa.small = generic_kernels();
  isa.grouped_small = generic_grouped_kernels();
  isa.name = isa.small.name;
  if (wanted != "sse4" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      f16c_available()) {
    isa.small.int8 = avx2_int8_panels;
    isa.small.int8_takes_signed = true;
    isa.grouped_small.int4 = avx2_grouped_int4;
    isa.grouped_small.int8 = avx2_grouped_int8;
  }
  const bool highway_only = wanted == "sse4" || wanted == "avx2" || wanted == "avx512";
  const bool avx512 = !highway_only && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) {
    isa.small.bf16 = avx512_bf16_panels;
    isa.small.bf16_takes_bf16 = true;
    isa.small.panels_at_once = avx512_panels_at_once;
    isa.name += "+bf16";
  }
  if (avx512 && __builtin_cpu_supports("avx512vnni")) {
    isa.small.int8 = avx512_int8_panels;
    isa.grouped_small = {avx512_grouped_int4, avx512_grouped_int8, avx512_panels_at_once};
    isa.small.int8_takes_signed = false;
    isa.small.panels_at_once = avx512_panels_at_once;
    isa.name += "+vnni";
  }
  isa.large = isa.small;
  isa.grouped_large = isa.grouped_small;
  // Rows of A must have one type for both kernels, so AMX comes with AVX-512 BF16 or not at all.
  const bool amx_wanted = !deterministic && (wanted.empty() || wanted == "amx");
  static const bool amx = amx_available();
  if (amx_wanted && amx && isa.small.bf16_takes_bf16) {
    isa.large.bf16 = amx_bf16_panels;
    isa.large.int8 = amx_int8_panels;
    isa.large.int8_takes_signed = false;
    isa.grouped_large = {amx_grouped_int4, amx_grouped_int8, [](std::int64_t) -> std::int64_t { return 2; }};
    isa.large.panels_at_once = [](std::int64_t) -> std::int64_t { return 2; };
    isa.name += "+amx";
  }
  return isa;
}

}  // namespace pagoda::kernels::cpu

// What configure_tiles() hands to the processor, on any machine: LDTILECFG is replaced by a copy whose
// operand, as in GCC 12's header, tells the compiler that it reads eight bytes. A compiler that believes it
// drops the stores of the other 56, and the first tile then ends the program on a machine with AMX.

#include <gtest/gtest.h>
#include <immintrin.h>

#include <cstdint>

namespace {

std::uint8_t loaded[64];

__attribute__((always_inline)) inline void copy_config(const void* config) {
  __asm__ volatile("leaq %1, %%rsi\n\tleaq %0, %%rdi\n\tmovl $64, %%ecx\n\trep movsb"
                   : "=m"(loaded)
                   : "m"(*static_cast<void* const*>(config))
                   : "rsi", "rdi", "rcx");
}

}  // namespace

#define _tile_loadconfig copy_config
#include "kernels/cpu/amx_tiles.h"

namespace pagoda::kernels::cpu {
namespace {

void expect_shapes(int inputs) {
  EXPECT_EQ(loaded[0], 1);  // palette
  for (int i = 1; i < 16; ++i) EXPECT_EQ(loaded[i], 0) << i;
  for (int tile = 0; tile < 8; ++tile) {
    const bool a = tile == 4 || tile == 5, b = tile >= 6;
    EXPECT_EQ(loaded[16 + 2 * tile] + 256 * loaded[17 + 2 * tile], a ? inputs : 64) << tile;
    EXPECT_EQ(loaded[48 + tile], b ? inputs / 4 : 16) << tile;
  }
  for (int i = 32; i < 48; ++i) EXPECT_EQ(loaded[i], 0) << i;
}

// Functions that end with the configuration, as the kernels do: that is where GCC dropped stores.
__attribute__((noinline)) void configure_64() { configure_tiles(64); }
__attribute__((noinline)) void configure_32() { configure_tiles(32); }
__attribute__((noinline)) void configure_any(int inputs) { configure_tiles(inputs); }

TEST(AmxTiles, ConfigurationIsWhollyWritten) {
  configure_64();
  expect_shapes(64);
  configure_32();
  expect_shapes(32);
  configure_any(64);
  expect_shapes(64);
}

}  // namespace
}  // namespace pagoda::kernels::cpu

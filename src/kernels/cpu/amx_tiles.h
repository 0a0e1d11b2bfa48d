#pragma once
// Shapes of the AMX tiles that panel_amx.cc and grouped_amx.cc use, and of nothing else (they are compiled
// for AMX). C in tiles 0..3 (2 x 2), A in 4 and 5, B in 6 and 7.

#include <immintrin.h>

#include <cstdint>

namespace pagoda::kernels::cpu {
namespace {

constexpr std::int64_t kTileRows = 16;

// Tile shapes are state of the thread. `inputs`: bytes of a row of A that one multiplication takes, 64 or 32.
inline void configure_tiles(int inputs) {
  struct alignas(64) Config {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t columns[16] = {};  // bytes a row
    std::uint8_t rows[16] = {};
  };
  Config config;
  for (int tile = 0; tile < 8; ++tile) {
    config.columns[tile] = static_cast<std::uint16_t>(tile == 4 || tile == 5 ? inputs : 64);
    config.rows[tile] = static_cast<std::uint8_t>(tile >= 6 ? inputs / 4 : kTileRows);
  }
  // GCC 12 takes the instruction to read eight bytes and drops the other stores: an empty shape, and SIGILL
  // at the next tile. This reads all of it.
  __asm__ volatile("" ::"m"(config));
  _tile_loadconfig(&config);
}

// Between stores by the program and loads of the same bytes into tiles, which GCC 12 does not know to read
// memory either.
inline void publish_to_tiles() { __asm__ volatile("" ::: "memory"); }

// Whoever leaves other shapes behind calls configure_tiles(64) at the end, so that this is needed once a
// thread.
inline void configure_thread() {
  thread_local bool configured = false;
  if (configured) return;
  configure_tiles(64);
  configured = true;
}

}  // namespace
}  // namespace pagoda::kernels::cpu

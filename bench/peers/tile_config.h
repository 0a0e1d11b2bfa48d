// Included before each file of llama.cpp. GCC 12's _tile_loadconfig says that it reads eight bytes, so GCC
// drops the stores of the other 56 and the first AMX tile is an illegal instruction (Pagoda's own way out:
// kernels/cpu/amx_tiles.h).
#ifdef __AMX_TILE__
#include <immintrin.h>
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" ::"m"(*(const char(*)[64])(config)))
#endif

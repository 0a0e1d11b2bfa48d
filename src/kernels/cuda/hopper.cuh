#pragma once
// Instructions of sm_90a: barriers in shared memory that count bytes, copies by the copy engine that complete
// on them, and matrix products of a warpgroup (128 threads) with B, and A or not, in shared memory.

#include <cuda_bf16.h>

#include <cstdint>

namespace pagoda::kernels::cuda {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PAGODA_HAS_WGMMA 1
#else
#define PAGODA_HAS_WGMMA 0
#endif

#if !PAGODA_HAS_WGMMA
struct SharedBarrier;  // there are no kernels for other devices here
#else

__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

// A phase ends when all arrivals and all expected bytes have come.
struct SharedBarrier {
  std::uint64_t state;

  __device__ __forceinline__ void init(int arrivals) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(this)), "r"(arrivals) : "memory");
  }
  // After the init of all, by the thread that did it; a barrier of the block follows.
  static __device__ __forceinline__ void publish() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __device__ __forceinline__ void arrive() {
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(this)) : "memory");
  }
  // On the same barrier of a block of the cluster: what the thread has written can be read there after
  // wait_for_cluster().
  __device__ __forceinline__ void arrive_at(int rank) {
    asm volatile(
        "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}\n" ::"r"(shared_address(this)),
        "r"(rank)
        : "memory");
  }
  // The same by a thread that has only read: no fence.
  __device__ __forceinline__ void arrive_at_having_read(int rank) {
    asm volatile(
        "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [remote];\n}\n" ::"r"(shared_address(this)),
        "r"(rank)
        : "memory");
  }
  // Arrives, and says how many bytes the copies of this phase bring.
  __device__ __forceinline__ void expect(int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(shared_address(this)), "r"(bytes)
                 : "memory");
  }
  // Until the phase of that parity is over. Before the first one has ended, that of parity 1 has.
  __device__ __forceinline__ void wait(std::uint32_t parity) {
    asm volatile(
        "{\n.reg .pred done;\nagain:\nmbarrier.try_wait.parity.shared.b64 done, [%0], %1;\n@!done bra "
        "again;\n}\n" ::"r"(shared_address(this)),
        "r"(parity)
        : "memory");
  }
  __device__ __forceinline__ void wait_for_cluster(std::uint32_t parity) {
    asm volatile(
        "{\n.reg .pred done;\nagain:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], "
        "%1;\n"
        "@!done bra again;\n}\n" ::"r"(shared_address(this)),
        "r"(parity)
        : "memory");
  }
};

// One thread copies; sizes and addresses are multiples of 16 bytes.
__device__ __forceinline__ void bulk_copy(void* shared, const void* global, int bytes,
                                          SharedBarrier& barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(&barrier))
      : "memory");
}

__device__ __forceinline__ int rank_in_cluster() {
  std::uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}
// The same place in the shared memory of another block of the cluster, and the four floats there.
__device__ __forceinline__ std::uint32_t address_in_cluster(const void* shared, int rank) {
  std::uint32_t address;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_address(shared)), "r"(rank));
  return address;
}
__device__ __forceinline__ float4 load_four_in_cluster(std::uint32_t address) {
  float4 v;
  asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(address)
               : "memory");
  return v;
}
// All threads of the cluster meet; what they have written is not made visible by it.
__device__ __forceinline__ void sync_cluster() {
  __syncwarp();
  asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// The warps of a warpgroup go on with fewer registers, or with more once others have given enough away.
template <int kRegisters>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// A box of a matrix; `map` says how large. What lies outside the matrix comes as zeros and counts.
__device__ __forceinline__ void box_copy(void* shared, const void* map, int column, int row,
                                         SharedBarrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
      "[%4];" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(&barrier))
      : "memory");
}
// The same of a map of pairs (tensor_map.h), from a tile of 16 rows on.
__device__ __forceinline__ void box_copy_pairs(void* shared, const void* map, int column, int tile,
                                               SharedBarrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %4, %4, "
      "%3}], "
      "[%5];" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(tile), "r"(0), "r"(shared_address(&barrier))
      : "memory");
}

// An operand in shared memory: rows of 128 bytes of k (64 bf16 or 128 e4m3), their 16-byte pieces swizzled:
// piece j of row r lies at j ^ (r % 8). The k of the next product are 32 bytes further.
__device__ __forceinline__ std::uint64_t operand_at(const void* shared) {
  constexpr std::uint64_t kSwizzle128 = std::uint64_t{1} << 62, kEightRows = std::uint64_t{1024 >> 4} << 32;
  return kSwizzle128 | kEightRows | std::uint64_t{1} << 16 | (shared_address(shared) & 0x3ffff) >> 4;
}

__device__ __forceinline__ void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void products_close() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
__device__ __forceinline__ void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// d [64, N] += A [64, 16] B [16, N]: by_registers takes the A fragments of mma.cuh (each warp its 16 rows),
// by_shared an operand. Fragments of d are mma.cuh's: 4 values for each 8 columns.
template <int N>
struct Products;

// The same of e4m3 in shared memory: 128 k in a row of 128 bytes, A [64, 32] and B [32, N].
template <int N>
struct Fp8Products;

// clang-format off
#define PAGODA_REGS_0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define PAGODA_REGS_16 PAGODA_REGS_0 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define PAGODA_REGS_32 PAGODA_REGS_16 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define PAGODA_SUMS_8(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define PAGODA_SUMS_16(i) PAGODA_SUMS_8(i), PAGODA_SUMS_8(i + 8)
#define PAGODA_SUMS_32(i) PAGODA_SUMS_16(i), PAGODA_SUMS_16(i + 16)
#define PAGODA_SUMS_64(i) PAGODA_SUMS_32(i), PAGODA_SUMS_32(i + 32)
#define PAGODA_PRODUCTS(N, REGS, SUMS, A0, A1, A2, A3, B)                                                     \
  template <>                                                                                                 \
  struct Products<N> {                                                                                        \
    static __device__ __forceinline__ void by_registers(float (&d)[N / 2], const std::uint32_t (&a)[4],       \
                                                        std::uint64_t b) {                                    \
      asm volatile("{\n.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n"                                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" REGS "}, {%" #A0 ",%" #A1     \
                   ",%" #A2 ",%" #A3 "}, %" #B ", p, 1, 1, 0;\n}\n"                                           \
                   : SUMS(0)                                                                                  \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                                     \
    }                                                                                                         \
    static __device__ __forceinline__ void by_shared(float (&d)[N / 2], std::uint64_t a, std::uint64_t b) {   \
      asm volatile("{\n.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n"                                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" REGS "}, %" #A0 ", %" #A1     \
                   ", p, 1, 1, 0, 0;\n}\n"                                                                    \
                   : SUMS(0)                                                                                  \
                   : "l"(a), "l"(b));                                                                         \
    }                                                                                                         \
  };                                                                                                          \
  template <>                                                                                                 \
  struct Fp8Products<N> {                                                                                     \
    static __device__ __forceinline__ void by_shared(float (&d)[N / 2], std::uint64_t a, std::uint64_t b) {   \
      asm volatile("{\n.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n"                                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k32.f32.e4m3.e4m3 {" REGS "}, %" #A0 ", %" #A1     \
                   ", p, 1, 1;\n}\n"                                                                          \
                   : SUMS(0)                                                                                  \
                   : "l"(a), "l"(b));                                                                         \
    }                                                                                                         \
  };
PAGODA_PRODUCTS(32, PAGODA_REGS_0, PAGODA_SUMS_16, 16, 17, 18, 19, 20)
PAGODA_PRODUCTS(64, PAGODA_REGS_16, PAGODA_SUMS_32, 32, 33, 34, 35, 36)
PAGODA_PRODUCTS(128, PAGODA_REGS_32, PAGODA_SUMS_64, 64, 65, 66, 67, 68)
// clang-format on

#endif  // PAGODA_HAS_WGMMA

}  // namespace pagoda::kernels::cuda

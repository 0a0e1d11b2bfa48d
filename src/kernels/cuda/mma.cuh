#pragma once
// Tensor core instructions and the fragments they want. mma.m16n8k16: with g = lane / 4 and c = lane % 4 a
// lane holds
//   A [16 x 16]  a0 (row g, k 2c 2c+1), a1 (row g+8, same k), a2 (row g, k 2c+8 2c+9), a3 (row g+8)
//   B [16 x 8]   b0 (k 2c 2c+1, column g), b1 (k 2c+8 2c+9)
//   C [16 x 8]   c0 c1 (row g, columns 2c 2c+1), c2 c3 (row g+8)

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace pagoda::kernels::cuda {

__device__ __forceinline__ void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                         std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same with A as 16 bytes.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint4& a, std::uint32_t b0, std::uint32_t b1) {
  const std::uint32_t words[4] = {a.x, a.y, a.z, a.w};
  mma_bf16(d, words, b0, b1);
}

// Where rows 8 to 15 of A are zero and nobody wants them of C; d: c0 and c1.
__device__ __forceinline__ void mma_bf16_upper(float (&d)[2], std::uint32_t a0, std::uint32_t a2,
                                               std::uint32_t b0, std::uint32_t b1) {
  [[maybe_unused]] float unused0, unused1;
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%5}, {%7,%8}, "
      "{%0,%1,%9,%9};"
      : "+f"(d[0]), "+f"(d[1]), "=f"(unused0), "=f"(unused1)
      : "r"(a0), "r"(0u), "r"(a2), "r"(b0), "r"(b1), "f"(0.0f));
}

// Four 8 x 8 matrices of bf16 from shared memory: lanes 8 i ... 8 i + 7 give the addresses of the rows of
// matrix i, of 16 bytes each, and a lane gets elements 2c, 2c+1 of row g of each.
__device__ __forceinline__ void load_matrices(const void* shared, std::uint32_t (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(shared)))
               : "memory");
}

__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const std::uint32_t&>(pair);
}

// Weights are read once: they should not push anything out of L1.
__device__ __forceinline__ uint4 load_stream(const void* address) {
  uint4 value;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(address));
  return value;
}

// 16 bytes to shared memory while the thread goes on. Copies are closed in batches; copies_wait<n>() waits
// until of the thread's own batches all but the last n have come.
__device__ __forceinline__ void copy_16_async(void* shared, const void* global) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(
                   static_cast<std::uint32_t>(__cvta_generic_to_shared(shared))),
               "l"(global)
               : "memory");
}
// The same of what is read once: it passes L1 by.
__device__ __forceinline__ void stream_16_async(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                   static_cast<std::uint32_t>(__cvta_generic_to_shared(shared))),
               "l"(global)
               : "memory");
}
__device__ __forceinline__ void copies_close() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Programmatic dependent launch: what a kernel does before wait_for_previous() may overlap the end of the
// kernel before it. No-ops before sm_90 and in ordinary launches.
__device__ __forceinline__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// The value is worked out here and not where it is first used. Of a kernel that takes microseconds much is
// code that runs once, a few cycles an instruction: as little of it as possible should come after
// wait_for_previous().
template <typename T>
__device__ __forceinline__ void work_out(T*& pointer) {
  asm volatile("" : "+l"(pointer));
  __builtin_assume(__isGlobal(pointer));
}
__device__ __forceinline__ void work_out(int& value) { asm volatile("" : "+r"(value)); }

// Which warp of the block, so that the compiler sees that all lanes have the same: branches by it need no
// care for lanes that come apart.
__device__ __forceinline__ int warp_index() {
  return __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 32, 0);
}

// combine(a, b) over all lanes of the warp.
template <typename Combine>
__device__ __forceinline__ float over_warp(float value, Combine combine) {
  for (int offset = 16; offset > 0; offset /= 2)
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
  return value;
}
// The same over the four lanes that hold a row of C.
template <typename Combine>
__device__ __forceinline__ float over_quad(float value, Combine combine) {
  value = combine(value, __shfl_xor_sync(0xffffffffu, value, 1));
  return combine(value, __shfl_xor_sync(0xffffffffu, value, 2));
}
struct Sum {
  __device__ __forceinline__ float operator()(float a, float b) const { return a + b; }
};
struct Maximum {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
__device__ __forceinline__ float warp_max(float value) { return over_warp(value, Maximum()); }
__device__ __forceinline__ float warp_sum(float value) { return over_warp(value, Sum()); }

// 2^x, 0 where that is no normal number: exp2f() spends three instructions more on those.
__device__ __forceinline__ float power_of_2(float x) {
  float value;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(value) : "f"(x));
  return value;
}

__device__ __forceinline__ float silu_times(float gate, float up) {
  return gate / (1.0f + __expf(-gate)) * up;
}

}  // namespace pagoda::kernels::cuda

#pragma once
// What the attention kernels are called with. No device code: host files include it too.

#include <cuda_bf16.h>

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/kv_layout.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/x_rows.cuh"
#include "kernels/kv_cache.h"

namespace pagoda::kernels::cuda {

struct RopeView {
  const float* cos = nullptr;  // [positions, D / 2]
  const float* sin = nullptr;
  const float* q_norm = nullptr;  // [D], or null both: no norm
  const float* k_norm = nullptr;
  float eps = 0;
};

struct AttentionView {
  float* qkv = nullptr;  // [tokens, (heads + 2 kv_heads) * D]
  std::int64_t qkv_stride = 0;
  XRows out;  // [tokens, heads * D]; of decodes alone it may be an image
  KvView kv;
  RopeView rope;
  const SequenceSlice* slices = nullptr;
  const std::int32_t* first_blocks = nullptr;  // as of SequenceBatch
  int heads = 0;
  int group = 0;         // query heads of a KV head
  float scale_log2 = 0;  // head_dim ^ -1/2 * log2(e)
  // Decodes of long contexts, cut into parts of kSplitPages pages: [sequence][head][splits][D + 2] floats and
  // [sequence][kv_head] counters (zero before and after).
  float* partials = nullptr;
  int* arrivals = nullptr;
  int max_splits = 1;
};

inline constexpr int kSplitPages = 16;

// Parts of a context of so many tokens.
inline int splits_of(std::int64_t context) {
  constexpr int kTokens = kSplitPages * kPageTokens;
  return static_cast<int>((context + kTokens - 1) / kTokens);
}

// Calls function(head_dim, format) with both as std::integral_constant.
template <typename Function>
void dispatch_kv(const KvView& kv, Function function) {
  const auto with_dim = [&](auto format) {
    if (kv.head_dim == 128)
      function(std::integral_constant<int, 128>(), format);
    else
      function(std::integral_constant<int, 64>(), format);
  };
  switch (kv.format) {
    case KvFormat::kBF16:
      return with_dim(std::integral_constant<KvFormat, KvFormat::kBF16>());
    case KvFormat::kFp8:
      return with_dim(std::integral_constant<KvFormat, KvFormat::kFp8>());
    case KvFormat::kInt8:
      return with_dim(std::integral_constant<KvFormat, KvFormat::kInt8>());
  }
}

// Defined in attention_decode.cu, attention_prefill.cu and rope_and_write.cu; D is 64 or 128. k and v go to
// the cache, and q is rotated in place if `queries`; if not, launch_prefill_attention() must do that: it does
// where view.rope has tables.
void launch_rope_and_write(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                           int max_queries, bool queries);
void launch_decode_attention(const Launcher& launch, const AttentionView& view, int decodes, int max_context);
void launch_prefill_attention(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                              int max_queries);

}  // namespace pagoda::kernels::cuda

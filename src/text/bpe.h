#pragma once
// Byte-pair encoding of one piece: the adjacent pair of lowest rank, leftmost first, is merged until none is
// left. Immutable once built; per-call state lives in the caller's Scratch.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace pagoda::text {

// (left, right) -> (rank, merged), open addressing at most half full: one cache line a look-up, mostly.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank = kNoRank;
    std::int32_t merged = 0;
  };
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;

  void reserve(std::size_t merges);
  // A pair that occurs twice takes the later rank, as in the Hugging Face library. Needs room by reserve().
  void set(std::int32_t left, std::int32_t right, Merge merge);
  // rank == kNoRank: the two do not merge.
  Merge find(std::int32_t left, std::int32_t right) const;

 private:
  struct Slot {
    std::uint64_t key = kFree;
    Merge merge;
  };
  static constexpr std::uint64_t kFree = ~0ull;  // ids are not negative, so no pair has this key
  std::size_t slot_of(std::uint64_t key) const;
  std::vector<Slot> slots_{Slot{}};
  int shift_ = 63;  // the hash's upper bits choose the slot
};

class Bpe {
 public:
  struct Symbol {
    std::int32_t id;
    std::int32_t merged;  // what it and its right neighbour make
    std::uint32_t rank;   // of that merge; kNoRank: none
    std::uint32_t next, previous;
  };
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<std::uint64_t> heap;
  };

  Bpe(MergeTable merges, const std::array<std::int32_t, 256>& byte_tokens);
  std::int32_t byte_token(unsigned char byte) const { return byte_tokens_[byte]; }
  // Appends the tokens of `piece` to `out`. O(n log n), whatever the piece.
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const;

 private:
  void encode_short(std::string_view piece, std::vector<TokenId>& out) const;
  void encode_long(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const;

  MergeTable merges_;
  std::array<std::int32_t, 256> byte_tokens_;
};

}  // namespace pagoda::text

#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"

namespace pagoda::text {
namespace {

// Up to here a linear search for the best pair beats the heap; words of ordinary text are nearly all shorter.
constexpr std::size_t kShortPiece = 32;
constexpr std::uint32_t kEnd = 0xFFFFFFFF;  // no neighbour

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

}  // namespace

void MergeTable::reserve(std::size_t merges) {
  int bits = 1;
  while ((std::size_t{1} << bits) < merges * 2) ++bits;
  shift_ = 64 - bits;
  slots_.assign(std::size_t{1} << bits, Slot{});
}

std::size_t MergeTable::slot_of(std::uint64_t key) const {
  const std::size_t mask = slots_.size() - 1;
  // Fibonacci hashing after folding: both halves of the key must reach the upper bits.
  std::size_t slot = ((key ^ key >> 29) * 0x9E3779B97F4A7C15ull) >> shift_ & mask;
  while (slots_[slot].key != key && slots_[slot].key != kFree) slot = (slot + 1) & mask;
  return slot;
}

void MergeTable::set(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t key = pair_key(left, right);
  slots_[slot_of(key)] = {key, merge};
}

MergeTable::Merge MergeTable::find(std::int32_t left, std::int32_t right) const {
  return slots_[slot_of(pair_key(left, right))].merge;
}

Bpe::Bpe(MergeTable merges, const std::array<std::int32_t, 256>& byte_tokens)
    : merges_(std::move(merges)), byte_tokens_(byte_tokens) {}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const {
  if (piece.size() == 1) {
    out.push_back(TokenId(byte_token(static_cast<unsigned char>(piece[0]))));
  } else if (piece.size() <= kShortPiece) {
    encode_short(piece, out);
  } else {
    encode_long(piece, scratch, out);
  }
}

void Bpe::encode_short(std::string_view piece, std::vector<TokenId>& out) const {
  std::array<std::int32_t, kShortPiece> ids;
  std::array<MergeTable::Merge, kShortPiece> merges;  // [i]: of ids[i] and ids[i + 1]
  std::size_t count = piece.size();
  for (std::size_t i = 0; i < count; ++i) ids[i] = byte_token(static_cast<unsigned char>(piece[i]));
  for (std::size_t i = 0; i + 1 < count; ++i) merges[i] = merges_.find(ids[i], ids[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i)
      if (merges[i].rank < merges[best].rank) best = i;
    if (merges[best].rank == MergeTable::kNoRank) break;
    ids[best] = merges[best].merged;
    --count;
    for (std::size_t i = best + 1; i < count; ++i) ids[i] = ids[i + 1];
    for (std::size_t i = best + 1; i + 1 < count; ++i) merges[i] = merges[i + 1];
    if (best > 0) merges[best - 1] = merges_.find(ids[best - 1], ids[best]);
    if (best + 1 < count) merges[best] = merges_.find(ids[best], ids[best + 1]);
  }
  for (std::size_t i = 0; i < count; ++i) out.push_back(TokenId(ids[i]));
}

// A linked list of symbols and a heap of (rank, position). A symbol knows the rank of its present pair, so an
// entry of the heap whose rank differs is stale and is dropped; each merge adds at most two entries.
void Bpe::encode_long(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const {
  CHECK(piece.size() < kEnd);
  std::vector<Symbol>& symbols = scratch.symbols;
  std::vector<std::uint64_t>& heap = scratch.heap;
  const std::uint32_t count = static_cast<std::uint32_t>(piece.size());
  symbols.resize(count);
  heap.clear();
  const auto look_up = [&](std::uint32_t position) {
    Symbol& symbol = symbols[position];
    symbol.rank = MergeTable::kNoRank;
    if (symbol.next == kEnd) return false;
    const MergeTable::Merge merge = merges_.find(symbol.id, symbols[symbol.next].id);
    symbol.rank = merge.rank;
    symbol.merged = merge.merged;
    return merge.rank != MergeTable::kNoRank;
  };
  const auto entry = [&](std::uint32_t position) {
    return static_cast<std::uint64_t>(symbols[position].rank) << 32 | position;
  };
  for (std::uint32_t i = 0; i < count; ++i)
    symbols[i] = {byte_token(static_cast<unsigned char>(piece[i])), 0, MergeTable::kNoRank,
                  i + 1 < count ? i + 1 : kEnd, i > 0 ? i - 1 : kEnd};
  for (std::uint32_t i = 0; i < count; ++i)
    if (look_up(i)) heap.push_back(entry(i));
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto refresh = [&](std::uint32_t position) {
    if (!look_up(position)) return;
    heap.push_back(entry(position));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const std::uint32_t position = static_cast<std::uint32_t>(heap.back());
    const std::uint32_t rank = static_cast<std::uint32_t>(heap.back() >> 32);
    heap.pop_back();
    Symbol& left = symbols[position];
    if (left.rank != rank) continue;
    Symbol& right = symbols[left.next];
    left.id = left.merged;
    left.next = right.next;
    right.rank = MergeTable::kNoRank;  // gone: its entries are stale
    if (left.next != kEnd) symbols[left.next].previous = position;
    refresh(position);
    if (left.previous != kEnd) refresh(left.previous);
  }
  for (std::uint32_t i = 0; i != kEnd; i = symbols[i].next) out.push_back(TokenId(symbols[i].id));
}

}  // namespace pagoda::text

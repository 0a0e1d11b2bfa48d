#include "text/token_table.h"

#include <functional>

namespace pagoda::text {

void TokenTable::reserve(std::size_t tokens, std::size_t bytes) {
  arena_.reserve(bytes);
  tokens_.reserve(tokens);
  std::size_t size = 16;
  while (size < tokens * 2) size *= 2;
  slots_.assign(size, kNone);
}

bool TokenTable::add(std::int32_t id, std::string_view bytes) {
  if (kind(id) != Kind::kHole) return false;
  if ((used_ + 1) * 2 > slots_.size()) grow();
  const std::size_t slot = slot_of(bytes);
  if (slots_[slot] != kNone) return false;
  slots_[slot] = id;
  ++used_;
  at(id) = {static_cast<std::uint32_t>(arena_.size()), static_cast<std::uint32_t>(bytes.size()),
            Kind::kOrdinary};
  arena_.append(bytes);
  return true;
}

void TokenTable::set_added(std::int32_t id, std::string_view text, bool special) {
  Token& token = at(id);
  if (token.kind == Kind::kHole) {
    token.offset = static_cast<std::uint32_t>(arena_.size());
    token.length = static_cast<std::uint32_t>(text.size());
    arena_.append(text);
  }
  token.kind = special ? Kind::kSpecial : Kind::kAdded;
}

std::int32_t TokenTable::find(std::string_view bytes) const {
  return slots_.empty() ? kNone : slots_[slot_of(bytes)];
}

std::string_view TokenTable::bytes(std::int32_t id) const {
  if (!contains(id)) return {};
  const Token& token = tokens_[static_cast<std::size_t>(id)];
  return std::string_view(arena_).substr(token.offset, token.length);
}

TokenTable::Token& TokenTable::at(std::int32_t id) {
  if (id >= size()) tokens_.resize(static_cast<std::size_t>(id) + 1);
  return tokens_[static_cast<std::size_t>(id)];
}

// The slot that holds `bytes`, or the free one where they belong.
std::size_t TokenTable::slot_of(std::string_view bytes) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>()(bytes) & mask;
  while (slots_[slot] != kNone && this->bytes(slots_[slot]) != bytes) slot = (slot + 1) & mask;
  return slot;
}

void TokenTable::grow() {
  const std::vector<std::int32_t> old = std::move(slots_);
  slots_.assign(old.empty() ? 16 : old.size() * 2, kNone);
  for (const std::int32_t id : old)
    if (id != kNone) slots_[slot_of(bytes(id))] = id;
}

}  // namespace pagoda::text

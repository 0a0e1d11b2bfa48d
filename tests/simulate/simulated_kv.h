#pragma once
// A block memory without a model: each slot holds the name of the token whose keys and values it would hold,
// and of everything before it. A step reads and writes the blocks of a plan as attention would, and says what
// is wrong.

#include <fmt/core.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cache/block_cache.h"
#include "schedule/scheduler.h"

namespace pagoda::simulate {

inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
  x = (x ^ (x >> 29)) * 0xff51afd7ed558ccdu;
  return x ^ (x >> 32);
}

// The name of a prefix; salts are part of it, so that a slot shared across salts is as wrong as any other. 64
// bits and no relation to cache::PrefixHash: what the cache takes for equal is checked, not trusted.
using Content = std::uint64_t;
constexpr Content kNothing = 0;
inline Content content_root(std::uint64_t salt) { return mix(salt + 0x1234567); }
inline Content content_after(Content before, std::int32_t token) {
  return mix(before * 31 + static_cast<std::uint32_t>(token) + 1);
}

class SimulatedKv {
 public:
  SimulatedKv(std::int32_t num_blocks, std::int32_t block_size)
      : block_size_(block_size), slots_(num_blocks * block_size, kNothing), marks_(num_blocks) {}

  // What the slots of one scheduled sequence must hold.
  struct Expected {
    Content root = kNothing;
    std::span<const Content> contents;  // of all its tokens
  };

  // Computes the plan; expected[i] belongs to plan.sequences[i]. All reads come before all writes: what one
  // sequence writes in a step, no other may need in the same step. Returns what is wrong, or nothing.
  std::string step(const schedule::StepPlan& plan, std::span<const Expected> expected,
                   const cache::BlockPool& pool) {
    ++step_;
    for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
      if (std::string wrong = read(plan.sequences[i], expected[i], static_cast<int>(i)); !wrong.empty())
        return wrong;
    }
    for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
      if (std::string wrong = write(plan.sequences[i], expected[i], static_cast<int>(i), pool);
          !wrong.empty())
        return wrong;
    }
    return {};
  }

  // What the model would make the next token of: the name of the last token computed and all before it.
  Content last_content(const schedule::ScheduledSequence& part) const {
    return slots_[slot(part, part.first + part.count - 1)];
  }

  // Empties the free blocks, so that nobody lives off what a block happens to hold still.
  void poison_free(const cache::BlockPool& pool) {
    for (std::int32_t block = 0; block < pool.total(); ++block) {
      Mark& mark = marks_[block];
      if (!mark.dirty || pool.references(cache::BlockId(block)) > 0 || pool.is_idle(cache::BlockId(block)))
        continue;
      std::fill_n(slots_.begin() + block * block_size_, block_size_, kNothing);
      mark.dirty = false;
    }
  }

 private:
  static constexpr int kSeveral = -1;
  struct Mark {
    std::int64_t read_in = 0, written_in = 0, listed_in = 0;  // the step; steps count from 1
    int reader = 0, writer = 0, lister = 0;                   // index in the plan
    bool dirty = false;
  };

  std::size_t slot(const schedule::ScheduledSequence& part, std::int32_t position) const {
    return part.blocks[position / block_size_].value * block_size_ + position % block_size_;
  }

  std::string read(const schedule::ScheduledSequence& part, const Expected& expected, int index) {
    const auto id = part.id.value;
    if (static_cast<std::int64_t>(part.blocks.size()) * block_size_ < part.first + part.count)
      return fmt::format("sequence {} has {} blocks for {} tokens", id, part.blocks.size(),
                         part.first + part.count);
    for (const cache::BlockId block : part.blocks) {
      if (block.value < 0 || block.value >= static_cast<std::int32_t>(marks_.size()))
        return fmt::format("sequence {} lists block {}, there is none", id, block.value);
      Mark& mark = marks_[block.value];
      if (mark.listed_in == step_ && mark.lister == index)
        return fmt::format("sequence {} lists block {} twice", id, block.value);
      mark.listed_in = step_;
      mark.lister = index;
    }
    for (std::int32_t begin = 0; begin < part.first; begin += block_size_) {
      const std::int32_t count = std::min(block_size_, part.first - begin);
      if (!std::equal(slots_.begin() + slot(part, begin), slots_.begin() + slot(part, begin) + count,
                      expected.contents.begin() + begin))
        return fmt::format("sequence {} would read tokens {} to {} from block {}, which does not hold them",
                           id, begin, begin + count - 1, part.blocks[begin / block_size_].value);
      Mark& mark = marks_[part.blocks[begin / block_size_].value];
      mark.reader = mark.read_in == step_ ? kSeveral : index;
      mark.read_in = step_;
    }
    return {};
  }

  std::string write(const schedule::ScheduledSequence& part, const Expected& expected, int index,
                    const cache::BlockPool& pool) {
    const auto id = part.id.value;
    Content content = part.first == 0 ? expected.root : expected.contents[part.first - 1];
    for (std::int32_t i = 0; i < part.count; ++i) {
      const std::int32_t position = part.first + i;
      const cache::BlockId block = part.blocks[position / block_size_];
      Mark& mark = marks_[block.value];
      if (pool.references(block) != 1)
        return fmt::format("sequence {} writes block {}, which has {} users", id, block.value,
                           pool.references(block));
      if (mark.read_in == step_ && mark.reader != index)
        return fmt::format("sequence {} writes block {}, which another reads in this step", id, block.value);
      if (mark.written_in == step_ && mark.writer != index)
        return fmt::format("sequence {} writes block {}, which another writes in this step", id, block.value);
      mark.written_in = step_;
      mark.writer = index;
      mark.dirty = true;
      content = content_after(content, part.tokens[i]);
      slots_[slot(part, position)] = content;
      if (content != expected.contents[position])
        return fmt::format("sequence {} computes token {} at position {}, which is not its own", id,
                           part.tokens[i], position);
    }
    return {};
  }

  std::int32_t block_size_;
  std::vector<Content> slots_;
  std::vector<Mark> marks_;
  std::int64_t step_ = 0;
};

}  // namespace pagoda::simulate

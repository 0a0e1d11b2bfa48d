#pragma once
// Which place on the device belongs to which sequence: where its last token and the set of tokens it has seen
// are kept. There are more places than sequences of a step, so that one that sat out a while finds its place
// again; the one used longest ago is given away.

#include <cstdint>
#include <list>
#include <unordered_map>

#include "schedule/scheduler.h"

namespace pagoda::execute {

class SequenceSlots {
 public:
  explicit SequenceSlots(std::int32_t count);

  struct Place {
    std::int32_t slot = 0;
    bool fresh = false;  // the sequence had none: what lies there belongs to somebody else
  };
  Place find(schedule::SequenceId id);
  std::int32_t count() const { return count_; }

 private:
  struct Entry {
    schedule::SequenceId id;
    std::int32_t slot;
  };
  std::int32_t count_;
  std::list<Entry> order_;  // used longest ago first
  std::unordered_map<std::int64_t, std::list<Entry>::iterator> by_id_;
};

}  // namespace pagoda::execute

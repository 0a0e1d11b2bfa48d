#include "execute/sequence_slots.h"

namespace pagoda::execute {

SequenceSlots::SequenceSlots(std::int32_t count) : count_(count) {}

SequenceSlots::Place SequenceSlots::find(schedule::SequenceId id) {
  const auto found = by_id_.find(id.value);
  if (found != by_id_.end()) {
    order_.splice(order_.end(), order_, found->second);
    return {found->second->slot, false};
  }
  std::int32_t slot = static_cast<std::int32_t>(order_.size());
  if (slot == count_) {
    slot = order_.front().slot;
    by_id_.erase(order_.front().id.value);
    order_.pop_front();
  }
  order_.push_back({id, slot});
  by_id_[id.value] = std::prev(order_.end());
  return {slot, true};
}

}  // namespace pagoda::execute

// The checkpoints of a state pool: taken, shared, gone back to.
#include "runtime/session/StatePool.h"

#include <algorithm>
#include <limits>

namespace quern::session {

void StatePool::create_checkpoints(uint64_t slots) {
  const uint64_t count = slots * checkpoint_sizes_.per_slot;
  checkpoints_.resize(count);
  free_checkpoints_.reserve(count);
  dropped_.reserve(checkpoint_sizes_.per_slot); // one slot drops at a time
  for (uint64_t i = count; i-- > 0;) {
    free_checkpoints_.push_back(static_cast<int32_t>(i));
    checkpoints_[i].pages.resize(groups_.size());
    for (size_t g = 0; g < groups_.size(); ++g)
      if (groups_[g].window != 0)
        checkpoints_[i].pages[g].reserve(pages_per_checkpoint(groups_[g].window, ctx_));
  }
  for (Slot &slot : slots_)
    slot.checkpoints = CheckpointList(checkpoint_sizes_, max_tokens_);
}

uint8_t *StatePool::checkpoint_state(int32_t id) const {
  return checkpoint_state_->data() + static_cast<uint64_t>(id) * slot_bytes_;
}

uint8_t *StatePool::checkpoint_page(size_t g, int32_t id, uint64_t index) const {
  const Checkpoint &checkpoint = checkpoints_[id];
  return groups_[g].pages.address(
      checkpoint.pages[g][index - first_page(groups_[g].window, checkpoint.length)]);
}

uint64_t StatePool::until_checkpoint(SlotId id) const {
  const Slot &slot = slots_[id];
  return slot.checkpoints.capacity() == 0
             ? std::numeric_limits<uint64_t>::max()
             : slot.checkpoints.spacing() - slot.length() % slot.checkpoints.spacing();
}

// Slots have no more than per_slot each: while one has room, some checkpoint is free.
int32_t StatePool::take_checkpoint(uint64_t length) {
  const int32_t id = free_checkpoints_.back();
  free_checkpoints_.pop_back();
  checkpoints_[id].length = length;
  checkpoints_[id].holders = 1;
  return id;
}

void StatePool::release_dropped() {
  for (const int32_t id : dropped_) {
    Checkpoint &checkpoint = checkpoints_[id];
    if (--checkpoint.holders != 0)
      continue;
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (const int32_t page : checkpoint.pages[g])
        groups_[g].pages.release(page);
      checkpoint.pages[g].clear();
    }
    free_checkpoints_.push_back(id); // reserved
  }
  dropped_.clear();
}

void StatePool::checkpoint(SlotId slot_id, bool mark) {
  Slot &slot = slots_[slot_id];
  const uint64_t length = slot.length();
  if (slot.checkpoints.capacity() == 0 || length == 0)
    return;
  if (mark)
    slot.checkpoints.mark(length);
  const bool due = slot.checkpoints.make_room(length, dropped_);
  release_dropped();
  if (!due)
    return;
  const int32_t id = take_checkpoint(length);
  device_.copy(checkpoint_state(id), fixed_state(slot_id), slot_bytes_);
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].window == 0)
      continue;
    for (uint64_t i = first_page(groups_[g].window, length); i < pages_for(length); ++i) {
      const int32_t page = slot.held[g].table[i];
      groups_[g].pages.share(page);
      checkpoints_[id].pages[g].push_back(page); // reserved
    }
  }
  slot.checkpoints.add(length, id);
}

void StatePool::go_back_to(SlotId slot_id, const CheckpointList::Entry &entry) {
  Slot &slot = slots_[slot_id];
  const Checkpoint &checkpoint = checkpoints_[entry.id];
  for (size_t g = 0; g < groups_.size(); ++g) {
    auto &[table, first] = slot.held[g];
    auto &[window, kept, pages] = groups_[g];
    if (window == 0)
      continue;
    for (uint64_t i = first; i < pages_for(slot.length()); ++i)
      pages.release(table[i]);
    first = first_page(window, entry.length);
    for (size_t i = 0; i < checkpoint.pages[g].size(); ++i) {
      table[first + i] = checkpoint.pages[g][i];
      pages.share(checkpoint.pages[g][i]);
    }
  }
  // What is left are the pages of the groups that keep all positions.
  for (size_t g = 0; g < groups_.size(); ++g)
    if (groups_[g].window == 0)
      for (uint64_t i = pages_for(entry.length); i < pages_for(slot.length()); ++i)
        groups_[g].pages.release(slot.held[g].table[i]);
  slot.tokens.resize(entry.length);
  slot.checkpoints.shorten(entry.length, dropped_);
  release_dropped();
  device_.copy(fixed_state(slot_id), checkpoint_state(entry.id), slot_bytes_);
}

void StatePool::restore_checkpoints(SlotId slot_id, const CheckpointList &list) {
  Slot &slot = slots_[slot_id];
  slot.checkpoints.assign(list);
  for (HeldPages &held : slot.held) // what the slot does not hold, some checkpoint may
    std::fill(held.table.begin(), held.table.begin() + static_cast<int64_t>(held.first), -1);
  for (CheckpointList::Entry &entry : slot.checkpoints.mutable_entries()) {
    entry.id = take_checkpoint(entry.length);
    for (size_t g = 0; g < groups_.size(); ++g) {
      if (groups_[g].window == 0)
        continue;
      PagePool &pages = groups_[g].pages;
      std::vector<int32_t> &table = slot.held[g].table;
      for (uint64_t i = first_page(groups_[g].window, entry.length); i < pages_for(entry.length);
           ++i) {
        const bool partial = (i + 1) * QUERN_KV_PAGE > entry.length;
        int32_t page;
        if (partial || table[i] < 0)
          page = pages.take();
        else
          pages.share(page = table[i]);
        if (!partial)
          table[i] = page;
        checkpoints_[entry.id].pages[g].push_back(page);
      }
    }
  }
}

} // namespace quern::session

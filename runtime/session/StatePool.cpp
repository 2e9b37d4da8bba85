#include "runtime/session/StatePool.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <exception>

namespace quern::session {

absl::StatusOr<std::unique_ptr<StatePool>> StatePool::create(device::Device &device,
                                                             const artifact::Manifest &manifest,
                                                             uint64_t ctx, uint64_t slots,
                                                             const CheckpointSizes &checkpoints) {
  auto pool = std::unique_ptr<StatePool>(new StatePool(device));
  pool->ctx_ = ctx;
  pool->slot_bytes_ = manifest.slot_bytes();
  pool->max_tokens_ = manifest.max_tokens();
  pool->checkpoint_sizes_ = checkpoints;
  for (const artifact::KvGroup *group : artifact::items(manifest.kv_groups())) {
    const uint64_t kept = pages_per_slot(group->window(), ctx, manifest.max_tokens());
    const uint64_t more = group->window() == 0
                              ? 0
                              : pages_of_checkpoints(group->window(), ctx, manifest.max_tokens(),
                                                     checkpoints.per_slot);
    auto pages = PagePool::create(device, group->page_bytes(), slots * (kept + more));
    if (!pages.ok())
      return pages.status();
    pool->groups_.push_back({group->window(), kept, *std::move(pages)});
  }
  auto fixed = device.allocate(slots * pool->slot_bytes_);
  if (!fixed.ok())
    return fixed.status();
  pool->fixed_ = *std::move(fixed);
  auto copies = device.allocate(slots * checkpoints.per_slot * pool->slot_bytes_);
  if (!copies.ok())
    return copies.status();
  pool->checkpoint_state_ = *std::move(copies);
  try {
    pool->slots_.resize(slots);
    for (Slot &slot : pool->slots_) {
      slot.held.resize(pool->groups_.size());
      for (HeldPages &held : slot.held)
        held.table.resize(pages_for(ctx));
      slot.tokens.reserve(ctx);
    }
    pool->create_checkpoints(slots);
  } catch (const std::exception &) { // bad_alloc or length_error
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory to keep track of ", slots, " slots of ", ctx, " positions"));
  }
  return pool;
}

absl::StatusOr<SlotId> StatePool::create_slot() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].alive)
      continue;
    const auto id = static_cast<SlotId>(i);
    slots_[i].alive = true;
    device_.zero(fixed_state(id), slot_bytes_);
    return id;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("all ", slots_.size(), " slots are taken\nhint: open with more --slots"));
}

absl::StatusOr<SlotId> StatePool::fork(SlotId parent) {
  if (absl::Status status = check_alive(parent); !status.ok())
    return status;
  absl::StatusOr<SlotId> child = create_slot();
  if (!child.ok())
    return child;
  const Slot &from = slots_[parent];
  Slot &to = slots_[*child];
  for (size_t g = 0; g < groups_.size(); ++g) {
    const PageRange range = held(g, parent);
    to.held[g].first = range.first;
    for (uint64_t i = range.first; i < range.end; ++i) {
      to.held[g].table[i] = from.held[g].table[i];
      groups_[g].pages.share(to.held[g].table[i]);
    }
  }
  to.tokens.assign(from.tokens.begin(), from.tokens.end());
  to.checkpoints.assign(from.checkpoints);
  for (const CheckpointList::Entry &entry : from.checkpoints.entries())
    ++checkpoints_[entry.id].holders;
  device_.copy(fixed_state(*child), fixed_state(parent), slot_bytes_);
  return child;
}

absl::Status StatePool::free_slot(SlotId id) {
  if (absl::Status status = check_alive(id); !status.ok())
    return status;
  shorten(slots_[id], 0);
  slots_[id].alive = false;
  return absl::OkStatus();
}

absl::Status StatePool::truncate(SlotId id, uint64_t length) {
  if (absl::Status status = check_alive(id); !status.ok())
    return status;
  Slot &slot = slots_[id];
  if (length > slot.length())
    return absl::InvalidArgumentError(
        absl::StrCat("cannot truncate to ", length, " positions: the slot has ", slot.length()));
  if (length == slot.length())
    return absl::OkStatus();
  const uint64_t shortest = shortest_truncation(id);
  const bool remembers = length == 0 || (slot_bytes_ == 0 && length >= shortest);
  if (const auto checkpoint = slot.checkpoints.last_before(length);
      !remembers && checkpoint && checkpoint->length == length) {
    go_back_to(id, *checkpoint);
    return absl::OkStatus();
  }
  if (slot_bytes_ != 0 && length != 0)
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot truncate to ", length, " of ", slot.length(),
        " positions: this model carries recurrent or convolution state, which does not remember "
        "its past\n"
        "hint: fork or save the slot at the position to come back to, open with memory for "
        "checkpoints, or truncate to 0"));
  if (!remembers)
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot truncate to ", length, " of ", slot.length(),
        " positions: layers with a sliding window no longer hold what the next token would see; ",
        shortest,
        " is the least they can go back to\n"
        "hint: fork or save the slot at the position to come back to, open with memory for "
        "checkpoints, or truncate to 0"));
  shorten(slot, length);
  if (length == 0)
    device_.zero(fixed_state(id), slot_bytes_);
  return absl::OkStatus();
}

uint64_t StatePool::rewind(SlotId id, uint64_t length) {
  Slot &slot = slots_[id];
  if (length >= slot.length())
    return slot.length();
  if (slot_bytes_ == 0 && length >= shortest_truncation(id)) {
    shorten(slot, length);
  } else if (const auto checkpoint = slot.checkpoints.last_before(length)) {
    go_back_to(id, *checkpoint);
  } else {
    shorten(slot, 0);
    device_.zero(fixed_state(id), slot_bytes_);
  }
  return slot.length();
}

uint64_t StatePool::shortest_truncation(SlotId id) const {
  uint64_t shortest = 0;
  for (size_t g = 0; g < groups_.size(); ++g)
    if (const uint64_t first = slots_[id].held[g].first; first != 0)
      shortest = std::max(shortest, first * QUERN_KV_PAGE + groups_[g].window - 1);
  return shortest;
}

bool StatePool::alive(SlotId id) const {
  return id >= 0 && static_cast<size_t>(id) < slots_.size() && slots_[id].alive;
}

std::span<const int32_t> StatePool::tokens(SlotId id) const { return slots_[id].tokens; }

uint8_t *StatePool::fixed_state(SlotId id) const {
  return fixed_->data() + static_cast<uint64_t>(id) * slot_bytes_;
}

void StatePool::append(SlotId id, std::span<const int32_t> tokens) {
  if (tokens.empty())
    return;
  Slot &slot = slots_[id];
  const uint64_t end = pages_for(slot.length() + tokens.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    auto &[window, kept, pages] = groups_[g];
    auto &[table, first] = slot.held[g];
    while (first + kept < end)
      pages.release(table[first++]);
    uint64_t next = pages_for(slot.length());
    // Writing goes on inside the last page, if it is partial: it must be this slot's alone.
    if (slot.length() % QUERN_KV_PAGE != 0)
      table[next - 1] = pages.own(table[next - 1]);
    for (; next < end; ++next)
      table[next] = pages.take();
  }
  slot.tokens.insert(slot.tokens.end(), tokens.begin(), tokens.end()); // reserved: ctx entries
}

bool StatePool::suffices(size_t g, uint64_t first, uint64_t length) const {
  return first <= first_page(groups_[g].window, length);
}

uint64_t StatePool::first_with_room(size_t g, uint64_t length) const {
  return pages_for(length) - std::min(pages_for(length), groups_[g].pages_per_slot);
}

uint8_t *StatePool::page(size_t group, SlotId id, uint64_t index) const {
  return groups_[group].pages.address(slots_[id].held[group].table[index]);
}

void StatePool::restore(SlotId id, std::span<const int32_t> tokens,
                        std::span<const uint64_t> first) {
  Slot &slot = slots_[id];
  for (size_t g = 0; g < groups_.size(); ++g) {
    slot.held[g].first = first[g];
    for (uint64_t i = first[g]; i < pages_for(tokens.size()); ++i)
      slot.held[g].table[i] = groups_[g].pages.take();
  }
  slot.tokens.assign(tokens.begin(), tokens.end());
}

absl::Status StatePool::check_alive(SlotId id) const {
  if (alive(id))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("slot ", id, " is not alive"));
}

void StatePool::shorten(Slot &slot, uint64_t length) {
  slot.checkpoints.shorten(length, dropped_);
  release_dropped();
  for (size_t g = 0; g < groups_.size(); ++g) {
    auto &[table, first] = slot.held[g];
    for (uint64_t i = std::max(first, pages_for(length)); i < pages_for(slot.length()); ++i)
      groups_[g].pages.release(table[i]);
    if (length == 0)
      first = 0;
  }
  slot.tokens.resize(length);
}

} // namespace quern::session

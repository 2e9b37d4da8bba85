#include "runtime/session/StatePool.h"

#include "absl/strings/str_cat.h"

#include <exception>

namespace quern::session {

absl::StatusOr<std::unique_ptr<StatePool>> StatePool::create(device::Device &device,
                                                             const artifact::Manifest &manifest,
                                                             uint64_t ctx, uint64_t slots) {
  auto pool = std::unique_ptr<StatePool>(new StatePool(device));
  pool->ctx_ = ctx;
  pool->slot_bytes_ = manifest.slot_bytes();
  const uint64_t num_pages = slots * pages_for(ctx);
  for (const artifact::KvGroup *group : artifact::items(manifest.kv_groups())) {
    auto memory = device.allocate(num_pages * group->page_bytes());
    if (!memory.ok())
      return memory.status();
    pool->groups_.push_back({group->page_bytes(), *std::move(memory)});
  }
  auto fixed = device.allocate(slots * pool->slot_bytes_);
  if (!fixed.ok())
    return fixed.status();
  pool->fixed_ = *std::move(fixed);
  try {
    pool->slots_.resize(slots);
    for (Slot &slot : pool->slots_) {
      slot.pages.resize(pages_for(ctx));
      slot.tokens.reserve(ctx);
    }
    pool->references_.resize(num_pages);
    pool->free_.reserve(num_pages);
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
  const uint64_t num_pages = pages_for(from.length());
  for (uint64_t i = 0; i < num_pages; ++i) {
    to.pages[i] = from.pages[i];
    ++references_[to.pages[i]];
  }
  to.tokens.assign(from.tokens.begin(), from.tokens.end());
  device_.copy(fixed_state(*child), fixed_state(parent), slot_bytes_);
  return child;
}

absl::Status StatePool::free_slot(SlotId id) {
  if (absl::Status status = check_alive(id); !status.ok())
    return status;
  release_pages_from(slots_[id], 0);
  slots_[id].tokens.clear();
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
  if (slot_bytes_ != 0 && length != 0)
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot truncate to ", length, " of ", slot.length(),
        " positions: this model carries recurrent or window state, which does not remember its "
        "past\n"
        "hint: fork or save the slot at the position to come back to, or truncate to 0"));
  release_pages_from(slot, pages_for(length));
  slot.tokens.resize(length);
  if (length == 0)
    device_.zero(fixed_state(id), slot_bytes_);
  return absl::OkStatus();
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
  const uint64_t end = slot.length() + tokens.size();
  uint64_t index = pages_for(slot.length());
  // Writing goes on inside the last page, if it is partial: it must be this slot's alone.
  if (slot.length() % QUERN_KV_PAGE != 0 && references_[slot.pages[index - 1]] > 1) {
    const int32_t shared = slot.pages[index - 1];
    const int32_t own = take_page();
    for (size_t g = 0; g < groups_.size(); ++g)
      device_.copy(page_address(g, own), page_address(g, shared), groups_[g].page_bytes);
    release_page(shared);
    slot.pages[index - 1] = own;
  }
  for (; index < pages_for(end); ++index)
    slot.pages[index] = take_page();
  slot.tokens.insert(slot.tokens.end(), tokens.begin(), tokens.end()); // reserved: ctx entries
}

uint8_t *StatePool::page(size_t group, SlotId id, uint64_t index) const {
  return page_address(group, slots_[id].pages[index]);
}

absl::Status StatePool::check_alive(SlotId id) const {
  if (alive(id))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("slot ", id, " is not alive"));
}

// A page of zeros. What a freed page still holds must not leak into another sequence: attention
// masks positions beyond a sequence's end by a weight of zero, and zero times a stale NaN is NaN.
int32_t StatePool::take_page() {
  int32_t page;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
    for (size_t g = 0; g < groups_.size(); ++g)
      device_.zero(page_address(g, page), groups_[g].page_bytes);
  } else {
    page = never_used_++;
  }
  references_[page] = 1;
  return page;
}

void StatePool::release_page(int32_t page) {
  if (--references_[page] == 0)
    free_.push_back(page);
}

void StatePool::release_pages_from(Slot &slot, uint64_t first) {
  for (uint64_t i = first; i < pages_for(slot.length()); ++i)
    release_page(slot.pages[i]);
}

uint8_t *StatePool::page_address(size_t group, int32_t page) const {
  return pages(group) + static_cast<uint64_t>(page) * groups_[group].page_bytes;
}

} // namespace quern::session

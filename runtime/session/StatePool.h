// The state of every slot: kv in pages shared by reference count, fixed-size state one block a
// slot.
//
// A page number names QUERN_KV_PAGE positions in every kv group at once (groups advance together),
// so a slot has one block table. The pool holds slots * ceil(ctx / QUERN_KV_PAGE) pages: forks
// share, so a slot that stays inside its context never finds the pool empty.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/device/Device.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace quern::session {

using SlotId = int32_t;

class StatePool {
public:
  // Takes all memory. Error: ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<StatePool>>
  create(device::Device &device, const artifact::Manifest &manifest, uint64_t ctx, uint64_t slots);

  // An empty slot, its fixed state zeroed. Error: ResourceExhausted (all slots are taken).
  absl::StatusOr<SlotId> create_slot();
  // A new slot in the same state: pages are shared until one side writes to the last, partial one;
  // fixed state is copied.
  absl::StatusOr<SlotId> fork(SlotId slot);
  absl::Status free_slot(SlotId slot);
  // Forgets all but the first `length` positions. A model with recurrent or window state can only
  // go back to 0 (or stay), since that state does not remember its past: FailedPrecondition says
  // so.
  absl::Status truncate(SlotId slot, uint64_t length);

  bool alive(SlotId slot) const;
  // Requires alive(slot), like everything below.
  uint64_t length(SlotId slot) const { return slots_[slot].length(); }
  std::span<const int32_t> tokens(SlotId slot) const;
  const int32_t *block_table(SlotId slot) const { return slots_[slot].pages.data(); }
  uint8_t *fixed_state(SlotId slot) const;

  // Makes room for `tokens` at the slot's end, all pages there its own, and records them as fed.
  // Requires length + tokens.size() <= ctx. Allocates nothing.
  void append(SlotId slot, std::span<const int32_t> tokens);

  uint64_t ctx() const { return ctx_; }
  uint64_t slot_bytes() const { return slot_bytes_; }
  size_t num_groups() const { return groups_.size(); }
  uint64_t page_bytes(size_t group) const { return groups_[group].page_bytes; }
  uint8_t *pages(size_t group) const { return groups_[group].memory->data(); }
  // The page of `slot` that holds positions [index * QUERN_KV_PAGE, ...), in `group`.
  uint8_t *page(size_t group, SlotId slot, uint64_t index) const;
  device::Device &device() const { return device_; }

  static uint64_t pages_for(uint64_t positions) {
    return (positions + QUERN_KV_PAGE - 1) / QUERN_KV_PAGE;
  }

private:
  struct Group {
    uint64_t page_bytes;
    std::unique_ptr<device::Allocation> memory;
  };
  struct Slot {
    bool alive = false;
    std::vector<int32_t> pages;  // block table, pages_for(ctx) entries
    std::vector<int32_t> tokens; // one a position; ctx reserved
    uint64_t length() const { return tokens.size(); }
  };
  explicit StatePool(device::Device &device) : device_(device) {}
  absl::Status check_alive(SlotId slot) const;
  int32_t take_page();
  void release_page(int32_t page);
  void release_pages_from(Slot &slot, uint64_t first);
  uint8_t *page_address(size_t group, int32_t page) const;

  device::Device &device_;
  uint64_t ctx_ = 0, slot_bytes_ = 0;
  std::vector<Group> groups_;
  std::unique_ptr<device::Allocation> fixed_;
  std::vector<Slot> slots_;
  std::vector<int32_t> references_; // a page
  std::vector<int32_t> free_;       // pages that were used and are free again
  int32_t never_used_ = 0;          // pages from here on are still as allocated: zero
};

} // namespace quern::session

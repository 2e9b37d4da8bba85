// The state of every slot: kv in pages shared by reference count, fixed-size state one block a
// slot.
//
// The layers of a kv group keep the same positions: all of them, or those of one window size. Each
// group has its own pages, and a slot a block table for each. In a group of a window a slot keeps
// its latest pages_per_slot pages (KvPages.h); older ones go back to the pool as it goes on.
//
// A group's pool has slots * pages_per_slot pages, and a slot that stays inside its context never
// finds it empty. Proof: no slot holds more than pages_per_slot pages, for append gives back before
// it takes. Pages that slots share count once, so pages in use are at most the sum over slots of
// those they hold. A slot that takes a page holds fewer than pages_per_slot, so that sum is below
// the pool's size; a slot that takes one to copy a shared page into holds up to pages_per_slot, but
// then the shared page is counted twice in the sum, and pages in use are below the pool's size too.
//
// A slot may have checkpoints (Checkpoints.h): at a position, a copy of the fixed-size state, and
// the pages of the groups with a window that the token there sees, held by reference. The groups
// that keep all positions need none: what the slot holds before the position is as it was. Forks
// share checkpoints. A group with a window then has slots * pages_of_checkpoints pages more, which
// KvPages.h shows to be enough for one slot; so they are for all, by the same sum.
#ifndef QUERN_RUNTIME_SESSION_STATEPOOL_H
#define QUERN_RUNTIME_SESSION_STATEPOOL_H

#include "runtime/artifact/Artifact.h"
#include "runtime/device/Device.h"
#include "runtime/session/Checkpoints.h"
#include "runtime/session/KvPages.h"
#include "runtime/session/PagePool.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace quern::session {

using SlotId = int32_t;

class StatePool {
public:
  /// Takes all memory. Error: ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<StatePool>> create(device::Device &device,
                                                           const artifact::Manifest &manifest,
                                                           uint64_t ctx, uint64_t slots,
                                                           const CheckpointSizes &checkpoints = {});

  /// An empty slot, its fixed state zeroed. Error: ResourceExhausted (all slots are taken).
  absl::StatusOr<SlotId> create_slot();
  /// A new slot in the same state: pages are shared until one side writes to the last, partial one;
  /// fixed state is copied.
  absl::StatusOr<SlotId> fork(SlotId slot);
  absl::Status free_slot(SlotId slot);
  /// Forgets all but the first `length` positions. It can always go back to 0, and to a checkpoint.
  /// Otherwise FailedPrecondition says why where it cannot: recurrent and convolution state does
  /// not remember its past; a window group remembers what the token at shortest_truncation sees, no
  /// more.
  absl::Status truncate(SlotId slot, uint64_t length);
  /// Goes back as far as it has to, to have no more than the first `length` positions, and returns
  /// how many it then has. Requires alive(slot).
  uint64_t rewind(SlotId slot, uint64_t length);
  /// The least length but 0 to which the windows let the slot go back: at least the manifest's
  /// max_tokens less than the longest it was, which undoes any one step of the device.
  uint64_t shortest_truncation(SlotId slot) const;

  bool alive(SlotId slot) const;
  /// Requires alive(slot), like everything below.
  uint64_t length(SlotId slot) const { return slots_[slot].length(); }
  std::span<const int32_t> tokens(SlotId slot) const;
  const int32_t *block_table(size_t group, SlotId slot) const {
    return slots_[slot].held[group].table.data();
  }
  uint8_t *fixed_state(SlotId slot) const;

  /// Makes room for `tokens` at the slot's end, all pages there its own, and records them as fed.
  /// Requires length + tokens.size() <= ctx and tokens.size() <= max_tokens. Allocates nothing.
  void append(SlotId slot, std::span<const int32_t> tokens);

  /// Takes a checkpoint where the slot is, if one is due there; `mark`: in any case, and the last
  /// two of those are kept. Allocates nothing.
  void checkpoint(SlotId slot, bool mark);
  /// Positions from where the slot is to where its next one is due; 2^64 - 1 without checkpoints.
  uint64_t until_checkpoint(SlotId slot) const;
  const CheckpointList &checkpoints(SlotId slot) const { return slots_[slot].checkpoints; }
  /// Of the checkpoint with that id.
  uint8_t *checkpoint_state(int32_t id) const;
  /// The page of `index` that it holds in a group with a window: from first_page to its last.
  uint8_t *checkpoint_page(size_t group, int32_t id, uint64_t index) const;

  uint64_t ctx() const { return ctx_; }
  uint64_t max_tokens() const { return max_tokens_; }
  uint64_t window(size_t group) const { return groups_[group].window; }
  const CheckpointSizes &checkpoint_sizes() const { return checkpoint_sizes_; }
  uint64_t slot_bytes() const { return slot_bytes_; }
  size_t num_groups() const { return groups_.size(); }
  const PagePool &pages(size_t group) const { return groups_[group].pages; }

  /// The pages of `group` that the slot holds are [first, end), by what they hold of the sequence.
  struct PageRange {
    uint64_t first, end;
  };
  PageRange held(size_t group, SlotId slot) const {
    return {slots_[slot].held[group].first, pages_for(length(slot))};
  }
  /// Whether the pages from `first` on suffice a slot of `length` positions.
  bool suffices(size_t group, uint64_t first, uint64_t length) const;
  /// The first page that a slot of `length` positions has room to hold: 0 but for a window's group.
  uint64_t first_with_room(size_t group, uint64_t length) const;
  uint8_t *page(size_t group, SlotId slot, uint64_t index) const;
  /// Makes an empty slot one that `tokens` were fed to, and that holds pages from first[group] on,
  /// for the caller to fill. Requires tokens.size() <= ctx, and for each group that first suffices
  /// and is not below first_with_room.
  void restore(SlotId slot, std::span<const int32_t> tokens, std::span<const uint64_t> first);
  /// Gives such a slot checkpoints: `list`'s, but for their ids, whose state and pages are then for
  /// the caller to fill. Pages that they share with the slot, or with each other, are one.
  void restore_checkpoints(SlotId slot, const CheckpointList &list);

  device::Device &device() const { return device_; }

private:
  struct Group {
    uint64_t window; ///< 0: all positions
    uint64_t pages_per_slot;
    PagePool pages;
  };
  /// Of one group. Entries of the table outside [first, pages_for(length)) mean nothing.
  struct HeldPages {
    std::vector<int32_t> table; ///< pages_for(ctx) entries
    uint64_t first = 0;
  };
  struct Slot {
    bool alive = false;
    std::vector<HeldPages> held; ///< by group
    std::vector<int32_t> tokens; ///< one a position; ctx reserved
    CheckpointList checkpoints;
    uint64_t length() const { return tokens.size(); }
  };
  /// What slots hold by the same list entry's id. Of groups that keep all positions, no pages.
  struct Checkpoint {
    uint64_t length = 0;
    uint32_t holders = 0;
    std::vector<std::vector<int32_t>> pages; ///< by group, from first_page on
  };
  explicit StatePool(device::Device &device) : device_(device) {}
  void create_checkpoints(uint64_t slots);
  int32_t take_checkpoint(uint64_t length);
  /// One holder less of each that dropped_ names.
  void release_dropped();
  /// Makes the slot what it was at the checkpoint.
  void go_back_to(SlotId slot, const CheckpointList::Entry &entry);
  absl::Status check_alive(SlotId slot) const;
  /// Gives back the pages beyond the first `length` positions, which become all there are.
  void shorten(Slot &slot, uint64_t length);

  device::Device &device_;
  uint64_t ctx_ = 0, slot_bytes_ = 0, max_tokens_ = 0;
  CheckpointSizes checkpoint_sizes_;
  std::vector<Group> groups_;
  std::unique_ptr<device::Allocation> fixed_, checkpoint_state_;
  std::vector<Checkpoint> checkpoints_;
  std::vector<int32_t> free_checkpoints_, dropped_;
  std::vector<Slot> slots_;
};

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_STATEPOOL_H

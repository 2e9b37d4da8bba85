// Which of its checkpoints a slot keeps: copies of the state that does not remember its past, at
// positions that the sequence can go back to.
//
// One is due at each multiple of the spacing. That begins small and doubles when there is no room
// for one more, up to the spacing that the plan states (CheckpointSizes): the bound on what an edit
// computes again, which a shorter sequence stays below. Besides them the last two that were marked
// are kept wherever they are: a prompt's end, and the last turn's. Only where the plan has room for
// one alone beside the multiples is the older one given up, when those are all there.
//
// Only marked ones end inside a page: spacings are multiples of one.
#ifndef QUERN_RUNTIME_SESSION_CHECKPOINTS_H
#define QUERN_RUNTIME_SESSION_CHECKPOINTS_H

#include "runtime/session/Memory.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace quern::session {

/// The rule alone: what is at a position is its owner's, who knows it by a number.
class CheckpointList {
public:
  struct Entry {
    uint64_t length; ///< positions before it, at least 1
    int32_t id;
  };

  CheckpointList() = default;
  /// Steps of max_tokens are not cut for checkpoints nearer than that.
  CheckpointList(const CheckpointSizes &sizes, uint64_t max_tokens);

  /// Becomes what `other` is, without allocating. Requires the same sizes.
  void assign(const CheckpointList &other);

  std::span<const Entry> entries() const { return entries_; } ///< by length
  std::span<Entry> mutable_entries() { return entries_; }     ///< for their ids to be changed
  uint64_t spacing() const { return spacing_; }
  uint64_t capacity() const { return capacity_; }
  const std::array<uint64_t, 2> &marks() const { return marks_; } ///< the later last; 0: none
  bool is_mark(uint64_t length) const {
    return length != 0 && (length == marks_[0] || length == marks_[1]);
  }

  /// The last that is at most `length` positions long.
  std::optional<Entry> last_before(uint64_t length) const;
  bool has(uint64_t length) const;

  /// Remembers that what is at `length` is to be kept, instead of the mark before the last.
  void mark(uint64_t length);
  /// Whether one at `length` is to be taken, now that there is room for it: what went for that, or
  /// because of mark(), is appended to `dropped`. Allocates nothing but there.
  bool make_room(uint64_t length, std::vector<int32_t> &dropped);
  /// Requires that make_room said so, and that length is more than all there are.
  void add(uint64_t length, int32_t id) { entries_.push_back({length, id}); }
  /// Drops all that are longer.
  void shorten(uint64_t length, std::vector<int32_t> &dropped);

private:
  bool keeps(uint64_t length) const { return length % spacing_ == 0 || is_mark(length); }
  void prune(std::vector<int32_t> &dropped);

  std::vector<Entry> entries_; // capacity_ reserved
  std::array<uint64_t, 2> marks_{};
  uint64_t capacity_ = 0;
  uint64_t first_spacing_ = 1, spacing_ = 1, last_spacing_ = 1;
};

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_CHECKPOINTS_H

// Who read a word since it was last written: one stamp, or a set of them.
//
// Many warps read the same words (a row that every block multiplies with), in the same order. So a
// set is a chain of nodes that words share, and the step from one set to the next by one more
// reader is looked up, not made again, once another word has gone it.
#ifndef QUERN_TESTS_PTX_MEMORY_READERS_H
#define QUERN_TESTS_PTX_MEMORY_READERS_H

#include "tests/ptx/memory/Stamp.h"

#include <array>
#include <cstddef>
#include <vector>

namespace quern::ptx::memory {

struct Reader {
  uint64_t stamp = 0; ///< never special
  uint32_t lanes = 0;
  bool copy = false;  ///< an asynchronous copy's reading
  bool write = false; ///< a strong write that a later one, not ordered after it, has replaced
};

class Readers {
public:
  Readers() : nodes_(1) {}

  /// Forgets all sets: no word may refer to one that is not below its floor.
  void clear() {
    nodes_.resize(1);
    steps_.fill({});
  }
  std::size_t size() const { return nodes_.size(); }

  /// The value of a word's reads after one more reader. `is_past(old, reader)` says that a reader
  /// happened before this one, so that whoever comes after this one comes after it too.
  template <class IsPast>
  uint64_t add(uint64_t old, Reader reader, uint64_t floor, const IsPast &is_past) {
    if (reader.copy)
      reader.stamp |= kCopyRead;
    if ((old & ~kSpecial) < floor)
      old = 0; // all past, and a set may be gone
    const uint64_t inlined = inline_of(reader);
    if (inlined != 0) {
      if (old == 0 || old == inlined)
        return inlined;
      if (!is_special(old) && same_reader(old, reader.stamp) && lanes_of(old) == reader.lanes)
        return inlined | bytes_of(old);
    }
    Step &step = steps_[(old * 0x9e3779b97f4a7c15u ^ reader.stamp * 0xff51afd7ed558ccdu ^
                         reader.lanes * 0xc2b2ae3d27d4eb4fu) >>
                        (64 - kStepBits)];
    if (step.old == old && step.stamp == reader.stamp && step.lanes == reader.lanes &&
        step.copy == reader.copy && step.write == reader.write)
      return step.result;
    step = {old,          reader.stamp, make(old, reader, floor, is_past),
            reader.lanes, reader.copy,  reader.write};
    return step.result;
  }

  /// Calls `visit(const Reader &)` for each that is not below the floor.
  template <class Visit> void each(uint64_t value, uint64_t floor, const Visit &visit) const {
    if ((value & ~kSpecial) < floor)
      return;
    if (!is_special(value)) {
      visit(Reader{value, lanes_of(value), is_copy_read(value)});
      return;
    }
    for (uint32_t at = low_of(value); at != 0; at = nodes_[at].next)
      if (nodes_[at].reader.stamp >= floor)
        visit(nodes_[at].reader);
  }

private:
  struct Node {
    Reader reader;
    uint32_t next = 0;
  };
  struct Step {
    uint64_t old = 0, stamp = 0, result = 0;
    uint32_t lanes = 0;
    bool copy = false, write = false;
  };
  static constexpr int kStepBits = 9;
  static constexpr uint32_t kKind = kStrong | kGpu | kNc | 3u << kSizeShift;

  /// The reader as one stamp; 0 where it takes a set.
  static uint64_t inline_of(const Reader &reader) {
    return reader.write ? 0 : with_lanes(reader.stamp, reader.lanes);
  }
  /// The same stretch of the same warp in the same way, lanes apart.
  static bool same_reader(uint64_t a, uint64_t b) {
    return segment_of(a) == segment_of(b) && ((a ^ b) & kKind) == 0;
  }
  static uint64_t value_of(uint32_t node, uint32_t segment) {
    return kSpecial | static_cast<uint64_t>(segment) << 32 | node;
  }

  template <class IsPast>
  uint64_t make(uint64_t old, const Reader &reader, uint64_t floor, const IsPast &is_past) {
    bool all_stay = true;
    bool is_there = false;
    kept_.clear();
    uint32_t latest = segment_of(reader.stamp);
    each(old, floor, [&](const Reader &other) {
      const bool same = other.copy == reader.copy && other.write == reader.write &&
                        same_reader(other.stamp, reader.stamp);
      const bool other_covers = same && (reader.lanes & ~other.lanes) == 0 &&
                                (bytes_of(reader.stamp) & ~bytes_of(other.stamp)) == 0;
      const bool covered = same && (other.lanes & ~reader.lanes) == 0 &&
                           (bytes_of(other.stamp) & ~bytes_of(reader.stamp)) == 0;
      is_there = is_there || other_covers;
      if (!other_covers &&
          (covered || ((other.stamp & kNc) == 0 && stands_for(reader.stamp, other.stamp) &&
                       !reader.copy && !other.write &&
                       (bytes_of(other.stamp) & ~bytes_of(reader.stamp)) == 0 && is_past(other)))) {
        all_stay = false;
        return;
      }
      kept_.push_back(other);
      latest = segment_of(other.stamp) > latest ? segment_of(other.stamp) : latest;
    });
    if (is_there && all_stay)
      return old;
    if (kept_.empty() && inline_of(reader) != 0)
      return inline_of(reader);
    const bool chained = all_stay && is_special(old);
    uint32_t node = chained ? low_of(old) : 0;
    if (!chained)
      for (std::size_t i = kept_.size(); i-- > 0;)
        node = append(kept_[i], node);
    if (!is_there)
      node = append(reader, node);
    return value_of(node, latest);
  }
  uint32_t append(const Reader &reader, uint32_t next) {
    nodes_.push_back({reader, next});
    return static_cast<uint32_t>(nodes_.size() - 1);
  }

  std::vector<Node> nodes_; ///< the first stands for none
  std::array<Step, 1u << kStepBits> steps_{};
  std::vector<Reader> kept_;
};

} // namespace quern::ptx::memory

#endif // QUERN_TESTS_PTX_MEMORY_READERS_H

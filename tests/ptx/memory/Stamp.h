// A stamp: who accessed a word of memory last, and how, in eight bytes.
//
// Memory is watched in words of four bytes; a stamp says which of the four it is about. The upper
// half is the segment: the stretch of a warp's time between two of its synchronisations, numbered
// in the order in which segments begin. All segments below a block's floor are ordered before
// whatever the block does now, so that the check nearly every access needs is one comparison.
//
//   63      62..32   31..15  14..10  9..8  7   6    5       4      3..0
//   special segment  pc      lane    size  nc  gpu  strong  several bytes
#ifndef QUERN_TESTS_PTX_MEMORY_STAMP_H
#define QUERN_TESTS_PTX_MEMORY_STAMP_H

#include <bit>
#include <cstdint>

namespace quern::ptx::memory {

inline constexpr int kLanes = 32;
inline constexpr uint32_t kAllLanes = ~0u;

inline constexpr uint64_t kSpecial = 1ull << 63;
inline constexpr uint32_t kBytes = 15;
inline constexpr uint32_t kSeveral = 1u << 4; ///< reads: lanes side by side; whose, the lane says
inline constexpr uint32_t kStrong = 1u << 5;
inline constexpr uint32_t kGpu = 1u << 6; ///< a strong access of scope gpu or sys
inline constexpr uint32_t kNc = 1u << 7;  ///< reads: ld.global.nc
/// Writes: a strong write before this one, and not ordered before it, is among the word's readers.
inline constexpr uint32_t kMore = 1u << 7;
inline constexpr int kSizeShift = 8; ///< strong accesses: log2 of their size
/// Reads of asynchronous copies: a size that no weak access has.
inline constexpr uint32_t kCopyRead = 3u << kSizeShift;
inline bool is_copy_read(uint64_t stamp) { return (stamp & (kCopyRead | kStrong)) == kCopyRead; }
inline constexpr int kLaneShift = 10;
inline constexpr int kPcShift = 15;
inline constexpr uint32_t kMaxPc = (1u << 17) - 1; ///< this and all beyond

inline constexpr uint32_t kMaxSegment = (1u << 31) - 1;

inline uint64_t stamp_of(uint32_t segment, uint32_t pc, uint32_t flags) {
  return static_cast<uint64_t>(segment) << 32 | (pc < kMaxPc ? pc : kMaxPc) << kPcShift | flags;
}
inline uint64_t at_lane(uint64_t stamp, int lane) {
  return stamp | static_cast<uint64_t>(lane) << kLaneShift;
}
inline uint32_t segment_of(uint64_t stamp) {
  return static_cast<uint32_t>(stamp >> 32) & kMaxSegment;
}
inline bool is_special(uint64_t stamp) { return (stamp & kSpecial) != 0; }
inline uint32_t low_of(uint64_t stamp) { return static_cast<uint32_t>(stamp); }
inline uint32_t pc_of(uint64_t stamp) { return low_of(stamp) >> kPcShift; }
inline int lane_of(uint64_t stamp) { return static_cast<int>(low_of(stamp) >> kLaneShift & 31); }
inline uint32_t bytes_of(uint64_t stamp) { return low_of(stamp) & kBytes; }
/// Lanes of a reading. Of several, all 32 are number 0, halves of them 1 and 2, quarters 3 to 6,
/// and so on to pairs.
inline uint32_t lanes_of(uint64_t stamp) {
  if ((stamp & kSeveral) == 0)
    return 1u << lane_of(stamp);
  const uint32_t number = static_cast<uint32_t>(lane_of(stamp)) + 1;
  const uint32_t parts = std::bit_floor(number), each = kLanes / parts;
  return kAllLanes >> (kLanes - each) << (number - parts) * each;
}
/// A reading's stamp with its lanes; 0 where no stamp says them.
inline uint64_t with_lanes(uint64_t stamp, uint32_t lanes) {
  const auto count = static_cast<uint32_t>(std::popcount(lanes));
  const auto first = static_cast<uint32_t>(std::countr_zero(lanes));
  if (count == 1)
    return at_lane(stamp, static_cast<int>(first));
  if (!std::has_single_bit(count) || first % count != 0 ||
      lanes >> first != kAllLanes >> (kLanes - count))
    return 0;
  return at_lane(stamp | kSeveral, static_cast<int>((kLanes + first) / count - 1));
}
/// Whoever conflicts with the earlier of two accesses, and is not ordered after it, conflicts with
/// the later one too: a strong access may be let pass where the one before it would not.
inline bool stands_for(uint64_t later, uint64_t earlier) {
  constexpr uint32_t kKind = kStrong | kGpu | 3u << kSizeShift;
  return (later & kStrong) == 0 || ((later ^ earlier) & kKind) == 0;
}

} // namespace quern::ptx::memory

#endif // QUERN_TESTS_PTX_MEMORY_STAMP_H

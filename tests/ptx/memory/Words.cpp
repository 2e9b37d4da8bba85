// Accesses, word by word: is what was there before ordered before them?
#include "tests/ptx/memory/Context.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace quern::ptx::memory {
namespace {

constexpr uint64_t kSegmentShift = 32;

bool is_past_reads(uint64_t reads, uint64_t floor) { return (reads & ~kSpecial) < floor; }

/// A word written by bytes: no segment, the number of its four stamps.
bool is_split(uint64_t write) { return is_special(write) && segment_of(write) == 0; }

uint32_t flags_of(Access access) {
  uint32_t flags = access.nc ? kNc : 0;
  if (access.order != Order::Weak)
    flags |= kStrong | (access.reach == Reach::Gpu ? kGpu : 0) |
             static_cast<uint32_t>(std::countr_zero(static_cast<unsigned>(access.element)))
                 << kSizeShift;
  return flags;
}

// Any CPU, and faster where there is AVX2.
#if defined(__x86_64__)
#define QUERN_PTX_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define QUERN_PTX_WIDE
#endif

// What two stamps of one lane in one segment, accessing in one way, may differ in.
constexpr uint64_t kSameLane = ~(static_cast<uint64_t>(kMaxPc) << kPcShift);
// What tells the segment of a write, and that none before it is left to look at.
constexpr uint64_t kWholeSegment = static_cast<uint64_t>(kMaxSegment) << 32 | kMore;

/// The last segments that all lanes of a warp were found to come after, as stamps of theirs; what
/// no stamp is where there are none, or where knowing them is not all there is to ask.
struct Known {
  uint64_t a = kWholeSegment, b = kWholeSegment;

  Known(const WarpTime &warp, Access access) {
    if (access.nc || access.order != Order::Weak)
      return;
    a = warp.recent[0] == 0 ? a : static_cast<uint64_t>(warp.recent[0]) << 32;
    b = warp.recent[1] == 0 ? b : static_cast<uint64_t>(warp.recent[1]) << 32;
  }
  bool has_write(uint64_t write) const {
    return ((write ^ a) & kWholeSegment) == 0 || ((write ^ b) & kWholeSegment) == 0;
  }
  bool has_reads(uint64_t reads) const {
    constexpr uint64_t kOne = kWholeSegment | kSpecial;
    return ((reads ^ a) & kOne) == 0 || ((reads ^ b) & kOne) == 0;
  }
};

/// One access of all lanes, to words one after another.
struct Row {
  uint64_t *writes, *reads;
  uint64_t stamp; ///< of lane 0
  uint64_t floor;
  Known known;
  bool load, copy;
};

/// Puts the stamps, kEach a lane, if nothing that was there needs a second look: it is past, of a
/// segment that is known to be, or of the very lane. (A copy does not come after another of its
/// lane.)
template <uint32_t kEach> __attribute__((always_inline)) inline bool put_all(const Row &row) {
  const uint64_t never = row.copy ? 1 : 0;
  const uint64_t a = row.known.a, b = row.known.b, floor = row.floor, stamp = row.stamp;
  const uint64_t *const writes = row.writes;
  const uint64_t *const reads = row.reads;
  constexpr uint64_t kOne = kWholeSegment | kSpecial;
  uint64_t busy = 0;
  for (uint32_t i = 0; i < kLanes * kEach; ++i) {
    const uint64_t mine = stamp | static_cast<uint64_t>(i / kEach) << kLaneShift;
    const uint64_t write = writes[i];
    const uint64_t read = reads[i];
    busy |= static_cast<uint64_t>(write >= floor) &
            static_cast<uint64_t>(((write ^ a) & kWholeSegment) != 0) &
            static_cast<uint64_t>(((write ^ b) & kWholeSegment) != 0) &
            (static_cast<uint64_t>(((write ^ mine) & kSameLane) != 0) | never);
    busy |= static_cast<uint64_t>((read & ~kSpecial) >= floor) &
            static_cast<uint64_t>(((read ^ a) & kOne) != 0) &
            static_cast<uint64_t>(((read ^ b) & kOne) != 0) &
            static_cast<uint64_t>(((read ^ mine) & kSameLane) != 0);
  }
  if (busy != 0)
    return false;
  uint64_t *const cells = row.load ? row.reads : row.writes;
  for (uint32_t i = 0; i < kLanes * kEach; ++i)
    cells[i] = stamp | static_cast<uint64_t>(i / kEach) << kLaneShift;
  return true;
}

// Any CPU, and faster where there is AVX2.
#if defined(__x86_64__)
#define QUERN_PTX_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define QUERN_PTX_WIDE
#endif
QUERN_PTX_WIDE bool put1(const Row &row) { return put_all<1>(row); }
QUERN_PTX_WIDE bool put2(const Row &row) { return put_all<2>(row); }
QUERN_PTX_WIDE bool put4(const Row &row) { return put_all<4>(row); }

} // namespace

Watched *Races::find(uint64_t address) {
  if (last_ != nullptr && address - last_->base < last_->bytes)
    return last_;
  auto at = watched_.upper_bound(address);
  if (at == watched_.begin())
    return nullptr;
  Watched &watched = std::prev(at)->second;
  return address - watched.base < watched.bytes ? last_ = &watched : nullptr;
}

bool Races::same_launch(uint64_t stamp) const {
  return segment_of(stamp) >= first_segment_ && segment(stamp).operation == operation_ &&
         segment(stamp).block != kHost;
}

bool Races::orders(const Context &context, uint64_t prior, int prior_lane, bool copy,
                   int lane) const {
  if ((!copy && prior < context.floor) || segment_of(prior) < first_segment_)
    return true;
  const Segment &then = segment(prior);
  const BlockTime &block = context.block;
  if (context.shared && (then.operation != operation_ || then.block != block.index))
    return true; // the block that had this memory before
  if (then.operation != operation_)
    return streams_.is_before_latest(then.operation);
  const WarpTime &warp = context.warp;
  if (then.block == block.index) {
    if (then.warp == context.index) {
      if (prior_lane == lane)
        return !copy || (warp.done && warp.done[lane] >= then.epoch);
      if ((copy ? warp.warp_copies : warp.warp_known) >= then.epoch)
        return true;
    }
    if (block.base->knows(then.warp, prior_lane, copy, then.epoch))
      return true;
  }
  const ClockRef &clock = warp.lanes ? warp.lanes[lane] : warp.clock;
  const BlockView *view = clock ? clock->find(then.block) : nullptr;
  return view != nullptr && view->knows(then.warp, prior_lane, copy, then.epoch);
}

/// Whether all lanes know all of the lanes of the segment that a reader is of, which is then in
/// `past`: what one lookup tells need not be asked for each pair of lanes, nor for the next word.
bool Races::is_past(const Context &context, const Reader &prior) const {
  const uint32_t segment_then = segment_of(prior.stamp);
  uint32_t &past = context.warp.past[segment_then % std::size(context.warp.past)];
  if (past == segment_then)
    return true;
  if (context.warp.lanes || !same_launch(prior.stamp))
    return false;
  const Segment &then = segment(prior.stamp);
  const auto all = [&](const BlockView &of) {
    const std::vector<uint32_t> &epochs = prior.copy ? of.copies : of.epochs;
    return then.warp < epochs.size() && epochs[then.warp] >= then.epoch;
  };
  const bool mine = then.block == context.block.index;
  if (!(mine && all(*context.block.base)) &&
      !(mine && then.warp == context.index &&
        (prior.copy ? context.warp.warp_copies : context.warp.warp_known) >= then.epoch)) {
    const BlockView *view = context.warp.clock ? context.warp.clock->find(then.block) : nullptr;
    if (view == nullptr || !all(*view))
      return false;
  }
  past = segment_then;
  return true;
}

bool Races::orders_all(const Context &context, const Reader &prior, uint32_t lanes) const {
  if (is_past(context, prior))
    return true;
  for (uint32_t mine = lanes; mine != 0; mine &= mine - 1)
    for (uint32_t theirs = prior.lanes; theirs != 0; theirs &= theirs - 1)
      if (!orders(context, prior.stamp, std::countr_zero(theirs), prior.copy,
                  std::countr_zero(mine)))
        return false;
  return true;
}

/// Reports what is wrong between an access and one before it; false if something is.
bool Races::check(const Context &context, const Reader &prior, bool prior_write, uint64_t index,
                  uint64_t stamp, uint32_t lanes) {
  const uint32_t bytes = bytes_of(prior.stamp) & bytes_of(stamp);
  const bool load = context.access.act == Act::Load;
  const bool nc = prior_write ? context.access.nc : (prior.stamp & kNc) != 0;
  if (nc && !context.shared && same_launch(prior.stamp)) {
    tell(context, prior, std::countr_zero(prior.lanes), prior_write, std::countr_zero(lanes), index,
         bytes, RaceReport::Kind::NonCoherentRead);
    return false;
  }
  if (!prior_write && load)
    return true;
  // Accesses that are morally strong are no race, ordered or not: what is polled is asked for
  // often.
  const uint32_t both = low_of(prior.stamp) & low_of(stamp);
  const uint32_t differ = low_of(prior.stamp) ^ low_of(stamp);
  if ((both & kStrong) != 0 && (differ & 3u << kSizeShift) == 0 &&
      ((both & kGpu) != 0 ||
       (same_launch(prior.stamp) && segment(prior.stamp).block == context.block.index)))
    return true;
  if (is_past(context, prior)) {
    const uint32_t then = segment_of(prior.stamp);
    if (context.warp.recent[0] != then)
      context.warp.recent[1] = std::exchange(context.warp.recent[0], then);
    return true;
  }
  for (uint32_t mine = lanes; mine != 0; mine &= mine - 1)
    for (uint32_t theirs = prior.lanes; theirs != 0; theirs &= theirs - 1) {
      const int lane = std::countr_zero(mine);
      const int prior_lane = std::countr_zero(theirs);
      if (orders(context, prior.stamp, prior_lane, prior.copy, lane))
        continue;
      tell(context, prior, prior_lane, prior_write, lane, index, bytes, RaceReport::Kind::Race);
      return false;
    }
  return true;
}

void Races::check_write(const Context &context, uint64_t index, uint64_t stamp, uint32_t lanes) {
  bool well = true; // one report of an access is enough
  const auto of = [&](uint64_t write) {
    const bool copy = is_special(write);
    if (well && (copy || write >= context.floor) && segment_of(write) >= first_segment_ &&
        (bytes_of(write) & bytes_of(stamp)) != 0)
      well = check(context, Reader{write & ~kSpecial, 1u << lane_of(write), copy}, true, index,
                   stamp, lanes);
    if ((write & kMore) != 0 && context.access.act == Act::Load)
      context.readers.each(context.memory->reads[index], context.floor, [&](const Reader &reader) {
        if (well && reader.write && (bytes_of(reader.stamp) & bytes_of(stamp)) != 0)
          well = check(context, reader, true, index, stamp, lanes);
      });
  };
  const uint64_t write = context.memory->writes[index];
  if (!is_split(write)) {
    of(write);
    return;
  }
  const std::array<uint64_t, 4> parts = splits_[low_of(write)];
  for (int byte = 0; byte < 4; ++byte)
    if (byte == 0 || parts[byte] != parts[byte - 1])
      of(parts[byte]);
}

void Races::check_reads(const Context &context, uint64_t index, uint64_t stamp, int lane) {
  uint64_t &reads = context.memory->reads[index];
  bool all_past = true;
  bool well = true;
  context.readers.each(reads, context.floor, [&](const Reader &reader) {
    if (well && (bytes_of(reader.stamp) & bytes_of(stamp)) != 0)
      well = check(context, reader, reader.write, index, stamp, 1u << lane);
    all_past = all_past && (bytes_of(reader.stamp) & ~bytes_of(stamp)) == 0 &&
               stands_for(context.stamp, reader.stamp) && orders_all(context, reader, 1u << lane);
  });
  // Whoever is not ordered after these reads is not after this write either.
  if (all_past)
    reads = 0;
}

void Races::put_write(const Context &context, uint64_t &cell, uint64_t stamp) {
  const uint32_t bytes = bytes_of(stamp);
  if (is_split(cell)) {
    std::array<uint64_t, 4> &parts = splits_[low_of(cell)];
    if (bytes == kBytes) {
      free_splits_.push_back(low_of(cell));
      cell = stamp;
      return;
    }
    for (int byte = 0; byte < 4; ++byte)
      if ((bytes >> byte & 1) != 0)
        parts[byte] = stamp;
    return;
  }
  const uint32_t rest = bytes_of(cell) & ~bytes;
  if (rest == 0 || (!is_special(cell) && cell < context.floor) ||
      segment_of(cell) < first_segment_) {
    cell = stamp;
    return;
  }
  constexpr uint64_t kPcAndBytes = static_cast<uint64_t>(kMaxPc) << kPcShift | kBytes;
  if (((cell ^ stamp) & ~kPcAndBytes) == 0) {
    cell = stamp | bytes_of(cell); // one thread, byte after byte
    return;
  }
  uint32_t number;
  if (free_splits_.empty()) {
    number = static_cast<uint32_t>(splits_.size());
    splits_.emplace_back();
  } else {
    number = free_splits_.back();
    free_splits_.pop_back();
  }
  for (int byte = 0; byte < 4; ++byte)
    splits_[number][byte] = (bytes >> byte & 1) != 0 ? stamp : (rest >> byte & 1) != 0 ? cell : 0;
  cell = kSpecial | number;
}

void Races::read_word(const Context &context, uint64_t index, uint64_t stamp, uint32_t lanes) {
  const uint64_t write = context.memory->writes[index];
  uint64_t &reads = context.memory->reads[index];
  const bool one = !context.copy && std::has_single_bit(lanes);
  const uint64_t mine = context.copy ? 0 : with_lanes(stamp, lanes);
  const Known known(context.warp, context.access);
  if (write >= context.floor && !known.has_write(write) &&
      (!one || ((write ^ mine) & kSameLane & ~uint64_t{kBytes}) != 0))
    check_write(context, index, stamp, lanes);
  if (mine != 0 && (is_past_reads(reads, context.floor) || ((reads ^ mine) & kSameLane) == 0))
    reads = mine;
  else
    reads =
        context.readers.add(reads, Reader{stamp, lanes, context.copy}, context.floor,
                            [&](const Reader &other) { return orders_all(context, other, lanes); });
}

void Races::write_word(const Context &context, uint64_t index, uint64_t stamp, int lane) {
  uint64_t &write = context.memory->writes[index];
  uint64_t &reads = context.memory->reads[index];
  const uint64_t mine = at_lane(stamp, lane);
  const Known known(context.warp, context.access);
  const bool covers = (bytes_of(write) & ~bytes_of(stamp)) == 0;
  if ((write < context.floor || (covers && known.has_write(write)) ||
       (!context.copy && ((write ^ mine) & kSameLane) == 0)) &&
      (is_past_reads(reads, context.floor) || known.has_reads(reads) ||
       ((reads ^ mine) & kSameLane) == 0)) {
    write = mine | (context.copy ? kSpecial : 0);
    return;
  }
  uint64_t more = 0;
  if (!is_past_reads(reads, context.floor))
    check_reads(context, index, stamp, lane);
  if (write >= context.floor) {
    check_write(context, index, stamp, 1u << lane);
    // Writes that this one does not stand for have to be known to who comes later.
    const auto keep = [&](uint64_t old) {
      if (is_special(old) || old < context.floor)
        return;
      if (reads != 0)
        more |= old & kMore;
      if (stands_for(context.stamp, old) && orders(context, old, lane_of(old), false, lane))
        return;
      reads = context.readers.add(reads,
                                  Reader{old & ~uint64_t{kMore}, 1u << lane_of(old), false, true},
                                  context.floor, [](const Reader &) { return false; });
      more = kMore;
    };
    if (is_split(write))
      for (uint64_t part : std::array<uint64_t, 4>(splits_[low_of(write)]))
        keep(part);
    else
      keep(write);
  }
  put_write(context, write, at_lane(stamp, lane) | more | (context.copy ? kSpecial : 0));
}

void Races::one(const Context &context, uint64_t offset, uint32_t bytes, uint32_t lanes) {
  const uint64_t end = offset + bytes;
  for (uint64_t at = offset; at < end;) {
    const uint64_t index = at / 4;
    const uint64_t next = std::min(end, index * 4 + 4);
    const uint32_t mask = ((1u << (next - at)) - 1) << at % 4;
    if (context.access.act == Act::Load)
      read_word(context, index, context.stamp | mask, lanes);
    else
      write_word(context, index, context.stamp | mask, std::countr_zero(lanes));
    at = next;
  }
}

/// All lanes, one after the other in memory, and nothing to ask: what nearly all weights and rows
/// are.
template <class Address>
bool Races::in_a_row(Context &context, const Address *addresses, uint32_t bytes) {
  const uint64_t first = addresses[0];
  uint64_t apart = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    apart |= addresses[lane] - (first + static_cast<uint64_t>(lane) * bytes);
  if (apart != 0 || first % 4 != 0 || bytes % 4 != 0)
    return false;
  if (!context.shared) {
    context.memory = find(first);
    if (context.memory == nullptr ||
        first - context.memory->base + kLanes * static_cast<uint64_t>(bytes) >
            context.memory->bytes)
      return false;
  }
  const uint64_t index = (first - context.memory->base) / 4;
  const bool load = context.access.act == Act::Load;
  const uint64_t copies = !context.copy ? 0 : load ? uint64_t{kCopyRead} : kSpecial;
  const Row row{context.memory->writes + index,
                context.memory->reads + index,
                context.stamp | kBytes | copies,
                context.floor,
                Known(context.warp, context.access),
                load,
                context.copy};
  switch (bytes / 4) {
  case 1:
    return put1(row);
  case 2:
    return put2(row);
  case 4:
    return put4(row);
  default:
    return false;
  }
}

template <class Address>
void Races::accesses(Context &context, uint32_t lanes, const Address *addresses, uint32_t bytes) {
  const bool load = context.access.act == Act::Load;
  if (lanes == kAllLanes && in_a_row(context, addresses, bytes))
    return;
  for (uint32_t rest = lanes; rest != 0;) {
    const int lane = std::countr_zero(rest);
    const uint64_t address = addresses[lane];
    uint32_t alike = 1u << lane; // lanes side by side that read the same
    if (load && !context.copy)
      for (int next = lane + 1;
           next < kLanes && (rest >> next & 1) != 0 && addresses[next] == address; ++next)
        alike |= 1u << next;
    rest &= ~alike;
    if (!context.shared)
      context.memory = find(address);
    const Watched *memory = context.memory;
    if (memory == nullptr || address - memory->base + bytes > memory->bytes)
      continue; // not ours, or out of bounds and reported as that
    one(context, address - memory->base, bytes, alike);
  }
}

void Races::global(BlockTime &block, int warp, uint32_t lanes, const uint64_t *addresses,
                   uint32_t bytes, Access access, uint32_t pc) {
  if (access.act == Act::Update && access.order == Order::Weak)
    access.order = Order::Relaxed;
  WarpTime &time = block.warps[warp];
  Context context{block,    time,
                  warp,     false,
                  access,   pc,
                  false,    static_cast<uint64_t>(floor_) << kSegmentShift,
                  readers_, stamp_of(time.segment, pc, flags_of(access)),
                  nullptr};
  accesses(context, lanes, addresses, bytes);
  if (access.order == Order::Weak)
    return;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
    synchronise(context, std::countr_zero(rest), released_[addresses[std::countr_zero(rest)]]);
  if (access.act != Act::Load && access.order >= Order::Release)
    next_epoch(block, warp);
}

void Races::shared(BlockTime &block, int warp, uint32_t lanes, const uint32_t *offsets,
                   uint32_t bytes, Access access, uint32_t pc) {
  if (access.act == Act::Update && access.order == Order::Weak)
    access.order = Order::Relaxed;
  WarpTime &time = block.warps[warp];
  Context context{block,         time,
                  warp,          true,
                  access,        pc,
                  false,         static_cast<uint64_t>(block.floor) << kSegmentShift,
                  block.readers, stamp_of(time.segment, pc, flags_of(access)),
                  &block.shared};
  accesses(context, lanes, offsets, bytes);
  if (access.order == Order::Weak)
    return;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
    synchronise(context, std::countr_zero(rest), block.released[offsets[std::countr_zero(rest)]]);
  if (access.act != Act::Load && access.order >= Order::Release)
    next_epoch(block, warp);
}

void Races::copy(BlockTime &block, int warp, uint32_t lanes, const uint32_t *offsets,
                 uint32_t bytes, const uint64_t *sources, const uint32_t *source_bytes,
                 uint32_t pc) {
  WarpTime &time = block.warps[warp];
  if (!time.committed) {
    time.committed = std::make_unique<uint32_t[]>(kLanes);
    time.done = std::make_unique<uint32_t[]>(kLanes);
  }
  // Lanes that are at the same group, and read as many bytes, at once.
  for (uint32_t rest = lanes; rest != 0;) {
    const int first = std::countr_zero(rest);
    const uint32_t group = time.committed[first] + 1;
    uint32_t alike = 0;
    for (int lane = first; lane < kLanes; ++lane)
      if ((rest >> lane & 1) != 0 && time.committed[lane] + 1 == group &&
          source_bytes[lane] == source_bytes[first])
        alike |= 1u << lane;
    rest &= ~alike;
    if (time.copy_segment == 0 || time.copy_group != group) {
      time.copy_group = group;
      time.copy_segment = begin_segment(block.index, warp, group, true);
    }
    const uint64_t stamp = stamp_of(time.copy_segment, pc, 0);
    Context from{block,
                 time,
                 warp,
                 false,
                 Access{Act::Load},
                 pc,
                 true,
                 static_cast<uint64_t>(floor_) << kSegmentShift,
                 readers_,
                 stamp,
                 nullptr};
    if (source_bytes[first] != 0)
      accesses(from, alike, sources, source_bytes[first]);
    Context to{block,
               time,
               warp,
               true,
               Access{Act::Store},
               pc,
               true,
               static_cast<uint64_t>(block.floor) << kSegmentShift,
               block.readers,
               stamp,
               &block.shared};
    accesses(to, alike, offsets, bytes);
  }
}

} // namespace quern::ptx::memory

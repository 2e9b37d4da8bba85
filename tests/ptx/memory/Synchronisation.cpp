// What makes one thread's past another's: barriers, fences, releases and acquires, waits for
// copies.
#include "tests/ptx/memory/Context.h"

#include <algorithm>

namespace quern::ptx::memory {
namespace {

BlockView::Key key_of(int warp, int lane, bool copies) {
  return static_cast<BlockView::Key>((warp * kLanes + lane) * 2 + (copies ? 1 : 0));
}

/// Groups that all live lanes have waited for.
uint32_t least_done(const WarpTime &warp) {
  if (!warp.done)
    return 0;
  uint32_t least = ~0u;
  for (uint32_t rest = warp.live; rest != 0; rest &= rest - 1)
    least = std::min(least, warp.done[std::countr_zero(rest)]);
  return least == ~0u ? 0 : least;
}

/// Adds to a view the copies that some lanes waited for and not all did.
void know_copies(BlockView &view, int index, const WarpTime &warp, uint32_t lanes, uint32_t all) {
  if (!warp.done)
    return;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if (warp.done[lane] > all)
      view.know(key_of(index, lane, true), warp.done[lane]);
  }
}

} // namespace

void Races::learn(WarpTime &warp, int lane, const ClockRef &what) {
  const ClockRef mine = warp.lanes ? warp.lanes[lane] : warp.clock;
  if (!learnt_[2] || !(learnt_[0] == mine) || !(learnt_[1] == what)) {
    learnt_[2] = join(mine, what);
    learnt_[0] = mine;
    learnt_[1] = what;
  }
  if (learnt_[2] == mine)
    return;
  if (!warp.lanes) {
    warp.lanes = std::make_unique<ClockRef[]>(kLanes);
    std::fill_n(warp.lanes.get(), kLanes, warp.clock);
  }
  warp.lanes[lane] = learnt_[2];
}

void Races::meet(WarpTime &warp) {
  if (!warp.lanes)
    return;
  ClockRef all;
  for (uint32_t rest = warp.live; rest != 0; rest &= rest - 1)
    all = join(all, warp.lanes[std::countr_zero(rest)]);
  warp.clock = all;
  warp.lanes.reset();
}

WarpTime::Fence Races::now(const BlockTime &block, int warp, int lane, Reach reach) const {
  const WarpTime &time = block.warps[warp];
  return {time.lanes ? time.lanes[lane] : time.clock,
          block.base,
          time.epoch,
          time.warp_known,
          time.warp_copies,
          time.done ? time.done[lane] : 0,
          reach};
}

ClockRef Races::clock_of(const BlockTime &block, int warp, int lane,
                         const WarpTime::Fence &at) const {
  auto *view = new BlockView(*at.base);
  view->references = 0;
  Ref<const BlockView> held(view);
  view->block = block.index;
  view->epochs[warp] = std::max(view->epochs[warp], at.warp_known);
  view->copies[warp] = std::max(view->copies[warp], at.warp_copies);
  view->know(key_of(warp, lane, false), at.epoch);
  if (at.copies_done != 0)
    view->know(key_of(warp, lane, true), at.copies_done);
  return join(at.clock, held);
}

Ref<const BlockView> Races::view_of(const BlockTime &block, int warp, uint32_t lanes) const {
  const WarpTime &time = block.warps[warp];
  auto *view = new BlockView;
  Ref<const BlockView> held(view);
  view->block = block.index;
  view->epochs.resize(block.warps.size());
  view->copies.resize(block.warps.size());
  if ((time.live & ~lanes) == 0) {
    view->epochs[warp] = time.epoch;
    view->copies[warp] = least_done(time);
    know_copies(*view, warp, time, lanes, view->copies[warp]);
  } else {
    view->epochs[warp] = time.warp_known;
    view->copies[warp] = time.warp_copies;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
      view->know(key_of(warp, std::countr_zero(rest), false), time.epoch);
    know_copies(*view, warp, time, lanes, time.warp_copies);
  }
  return held;
}

void Races::warp_barrier(BlockTime &block, int warp, uint32_t lanes) {
  WarpTime &time = block.warps[warp];
  if ((time.live & ~lanes) == 0) {
    meet(time);
    time.warp_known = time.epoch;
    time.warp_copies = least_done(time);
    if (time.done && std::any_of(time.done.get(), time.done.get() + kLanes,
                                 [&](uint32_t done) { return done > time.warp_copies; }))
      time.clock = join(time.clock, view_of(block, warp, lanes));
  } else {
    ClockRef all;
    for (uint32_t rest = lanes & time.live; rest != 0; rest &= rest - 1)
      all = join(all, time.lanes ? time.lanes[std::countr_zero(rest)] : time.clock);
    all = join(all, view_of(block, warp, lanes & time.live));
    for (uint32_t rest = lanes & time.live; rest != 0; rest &= rest - 1)
      learn(time, std::countr_zero(rest), all);
  }
  next_epoch(block, warp);
}

void Races::arrive(BlockTime &block, int warp, uint32_t barrier) {
  WarpTime &time = block.warps[warp];
  ClockRef &all = block.arrived[barrier];
  for (uint32_t rest = time.live; rest != 0; rest &= rest - 1)
    all = join(all, time.lanes ? time.lanes[std::countr_zero(rest)] : time.clock);
  all = join(all, view_of(block, warp, time.live));
  next_epoch(block, warp);
}

void Races::barrier(BlockTime &block, uint32_t barrier, std::span<const int> waiting) {
  ClockRef all;
  if (auto arrived = block.arrived.find(barrier); arrived != block.arrived.end()) {
    all = arrived->second;
    block.arrived.erase(arrived);
  }
  const auto live = std::count_if(block.warps.begin(), block.warps.end(),
                                  [](const WarpTime &warp) { return warp.live != 0; });
  const bool full = !all && static_cast<size_t>(live) <= waiting.size();
  for (int warp : waiting) {
    meet(block.warps[warp]);
    all = join(all, block.warps[warp].clock);
  }
  if (full) {
    auto *base = new BlockView(*block.base);
    base->references = 0;
    base->threads.clear();
    for (int warp : waiting) {
      const WarpTime &time = block.warps[warp];
      base->epochs[warp] = time.epoch;
      base->copies[warp] = least_done(time);
      know_copies(*base, warp, time, time.live, base->copies[warp]);
    }
    block.base = Ref<const BlockView>(base);
  } else {
    for (int warp : waiting)
      all = join(all, view_of(block, warp, block.warps[warp].live));
  }
  bool first = true;
  for (int warp : waiting) {
    WarpTime &time = block.warps[warp];
    time.clock = all;
    time.warp_known = time.epoch;
    time.warp_copies = least_done(time);
    next_epoch(block, warp);
    if (full && first)
      block.floor = time.segment;
    first = false;
  }
  if (full && block.readers.size() > 1u << 14)
    block.readers.clear();
}

void Races::fence(BlockTime &block, int warp, uint32_t lanes, Reach reach, Order order) {
  WarpTime &time = block.warps[warp];
  if (!time.fences)
    time.fences = std::make_unique<WarpTime::Fence[]>(kLanes);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if (time.pending && order != Order::Release) {
      WarpTime::Pending &pending = time.pending[lane];
      const ClockRef got =
          reach == Reach::Gpu ? join(pending.narrow, pending.wide) : pending.narrow;
      if (got)
        learn(time, lane, got);
      if (pending.wide && reach != Reach::Gpu)
        time.near = WarpTime::Near::AcquireTooNarrow;
      else if (got && time.near == WarpTime::Near::NotAcquired)
        time.near = WarpTime::Near::None;
      pending = {};
    }
    if (order != Order::Acquire)
      time.fences[lane] = now(block, warp, lane, reach);
  }
  next_epoch(block, warp);
}

void Races::synchronise(const Context &context, int lane, Released &place) {
  WarpTime &time = context.warp;
  const BlockTime &block = context.block;
  const Access access = context.access;
  const uint32_t thread = static_cast<uint32_t>(context.index * kLanes + lane);
  const bool other_block = place.block != block.index;
  const auto of_block = [&](uint32_t index) {
    return std::find_if(place.narrow.begin(), place.narrow.end(),
                        [&](const auto &narrow) { return narrow.first == index; });
  };
  if (access.act != Act::Store && place.written) {
    const auto narrow = of_block(block.index);
    const ClockRef near = narrow != place.narrow.end() ? narrow->second : ClockRef();
    const bool acquires = access.order == Order::Acquire || access.order == Order::AcquireRelease;
    const auto failed = [&](WarpTime::Near what) {
      time.near = what;
      time.near_pc = context.pc;
    };
    if (place.wide && other_block && access.reach != Reach::Gpu)
      failed(WarpTime::Near::AcquireTooNarrow);
    else if (other_block && !place.wide)
      failed(place.narrow.empty() ? WarpTime::Near::NothingReleased
                                  : WarpTime::Near::ReleaseTooNarrow);
    else if (other_block && !acquires)
      failed(WarpTime::Near::NotAcquired);
    const ClockRef wide = access.reach == Reach::Gpu ? place.wide : ClockRef();
    if (acquires) {
      if (const ClockRef got = join(near, wide))
        learn(time, lane, got);
    } else if (near || wide) {
      if (!time.pending)
        time.pending = std::make_unique<WarpTime::Pending[]>(kLanes);
      time.pending[lane].narrow = join(time.pending[lane].narrow, near);
      time.pending[lane].wide = join(time.pending[lane].wide, wide);
    }
  }
  if (access.act == Act::Load)
    return;
  // A release is read through atomics that read it, and through later writes of its own thread.
  const bool kept = (access.act == Act::Update || place.thread == thread) &&
                    (!other_block || (access.act == Act::Update && access.reach == Reach::Gpu));
  if (!kept) {
    place.wide = ClockRef();
    place.narrow.clear();
  }
  Reach reach = access.reach;
  ClockRef clock;
  if (access.order >= Order::Release) {
    clock = clock_of(block, context.index, lane, now(block, context.index, lane, reach));
  } else if (time.fences && time.fences[lane].base) {
    const WarpTime::Fence &fence = time.fences[lane];
    reach = std::min(reach, fence.reach);
    clock = clock_of(block, context.index, lane, fence);
  }
  if (clock) {
    const auto narrow = of_block(block.index);
    if (narrow != place.narrow.end())
      narrow->second = join(narrow->second, clock);
    else
      place.narrow.emplace_back(block.index, clock);
    if (reach == Reach::Gpu)
      place.wide = join(place.wide, clock);
  }
  place.written = true;
  place.block = block.index;
  place.thread = thread;
}

void Races::commit(BlockTime &block, int warp, uint32_t lanes) {
  WarpTime &time = block.warps[warp];
  if (!time.committed) {
    time.committed = std::make_unique<uint32_t[]>(kLanes);
    time.done = std::make_unique<uint32_t[]>(kLanes);
  }
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
    ++time.committed[std::countr_zero(rest)];
}

void Races::wait(BlockTime &block, int warp, uint32_t lanes, uint32_t left) {
  WarpTime &time = block.warps[warp];
  if (!time.committed)
    return;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if (time.committed[lane] > left)
      time.done[lane] = std::max(time.done[lane], time.committed[lane] - left);
  }
}

void Races::wait_all(BlockTime &block, int warp, uint32_t lanes) {
  commit(block, warp, lanes);
  wait(block, warp, lanes, 0);
}

} // namespace quern::ptx::memory

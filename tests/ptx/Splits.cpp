// Lanes of a warp that go different ways, and meet again.
#include "tests/ptx/Execute.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <cstring>
#include <utility>

namespace quern::ptx {
namespace {

Split running(const Warp &warp) {
  Split made;
  made.mask = warp.mask;
  made.pc = warp.pc;
  made.join = warp.join;
  made.function = warp.function;
  made.frame = warp.frame;
  return made;
}

void run(Warp &warp, const Split &split) {
  warp.mask = split.mask;
  warp.pc = split.pc;
  warp.join = split.join;
  warp.function = split.function;
  warp.frame = split.frame;
  warp.code = split.function->code.data();
  const Join *join = split.join >= 0 ? &warp.joins[static_cast<size_t>(split.join)] : nullptr;
  warp.rejoin = join != nullptr && !join->call ? join->pc : ~0u;
}

int new_join(Warp &warp) {
  for (size_t n = 0; n < warp.joins.size(); ++n)
    if (!warp.joins[n].used) {
      warp.joins[n].used = true;
      return static_cast<int>(n);
    }
  if (warp.joins.size() > 4096)
    throw Fault{"stack overflow", "4096 branches and calls of a warp are open", -1};
  warp.joins.emplace_back();
  warp.joins.back().used = true;
  return static_cast<int>(warp.joins.size() - 1);
}

void copy_lanes(u8 *to, u32 to_offset, const u8 *from, u32 from_offset, u32 bytes, Mask mask) {
  for (int l = 0; l < kLanes; ++l)
    if ((mask >> l & 1) != 0)
      std::memcpy(to + to_offset + static_cast<u32>(l) * bytes,
                  from + from_offset + static_cast<u32>(l) * bytes, bytes);
}

// All that were expected have come: they go on as one.
Split complete(Warp &warp, int number) {
  Join &join = warp.joins[static_cast<size_t>(number)];
  Split made;
  made.mask = join.arrived;
  made.pc = join.pc;
  made.join = join.parent;
  made.function = join.function;
  made.frame = join.frame;
  if (join.call)
    for (size_t n = 0; n < join.from->results.size(); ++n)
      copy_lanes(join.frame, join.from->results[n].offset, join.storage.get(),
                 join.from->callee->results[n].offset, join.from->results[n].bytes, join.arrived);
  join = Join();
  return made;
}

// Lanes that go away are no longer waited for, up to the join `until`.
void leave(Warp &warp, Mask lanes, int until) {
  for (int number = warp.join; number != until;) {
    Join &join = warp.joins[static_cast<size_t>(number)];
    const int parent = join.parent;
    join.expected &= ~lanes;
    if (join.expected == 0)
      join = Join();
    else if (join.arrived == join.expected)
      warp.others.push_back(complete(warp, number));
    number = parent;
  }
}

} // namespace

void next_split(Warp &warp) {
  for (;;) {
    while (warp.mask != 0 && warp.pc == warp.rejoin) {
      const int number = warp.join;
      Join &join = warp.joins[static_cast<size_t>(number)];
      join.arrived |= warp.mask;
      warp.mask = 0;
      if (join.arrived == join.expected)
        run(warp, complete(warp, number));
    }
    if (warp.mask != 0)
      return;
    size_t n = warp.others.size();
    while (n > 0 && warp.others[n - 1].state != Split::State::Ready)
      --n;
    if (n == 0) {
      warp.stop = true;
      return;
    }
    const Split chosen = warp.others[n - 1];
    warp.others.erase(warp.others.begin() + static_cast<long>(n - 1));
    run(warp, chosen);
  }
}

void rotate(Warp &warp) {
  for (size_t n = 0; n < warp.others.size(); ++n) {
    if (warp.others[n].state != Split::State::Ready)
      continue;
    const Split chosen = warp.others[n];
    warp.others.erase(warp.others.begin() + static_cast<long>(n));
    if (warp.mask != 0)
      warp.others.push_back(running(warp));
    run(warp, chosen);
    next_split(warp);
    return;
  }
}

// Lanes that branch, but not all: they go on as the running split, the rest behind the instruction.
static void part(Warp &warp, const Instr &instr, Mask taken) {
  if (instr.reconvergence < warp.function->code.size() && instr.reconvergence != warp.rejoin) {
    const int number = new_join(warp);
    Join &join = warp.joins[static_cast<size_t>(number)];
    join.parent = warp.join;
    join.expected = warp.mask;
    join.pc = instr.reconvergence;
    join.function = warp.function;
    join.frame = warp.frame;
    warp.join = number;
    warp.rejoin = join.pc;
  }
  Split other = running(warp);
  other.mask &= ~taken;
  warp.others.push_back(other);
  warp.mask = taken;
  warp.pc = instr.target;
}

void branch(Warp &warp, const Instr &instr, Mask taken) {
  if (taken == warp.mask)
    warp.pc = instr.target;
  else if (instr.target != warp.pc)
    part(warp, instr, taken);
}

void branch_indexed(Warp &warp, const Instr &instr, Mask mask) {
  const u32 *index = warp.reg<u32>(instr.o[0]);
  const auto &targets = *static_cast<const std::vector<u32> *>(instr.aux);
  while (mask != 0) {
    const int lane = std::countr_zero(mask);
    const u32 wanted = index[lane];
    if (wanted >= targets.size())
      throw Fault{"branch out of range",
                  concat("index ", wanted, " of ", targets.size(), " targets"), lane};
    Mask same = 0;
    for (int l = 0; l < kLanes; ++l)
      if ((mask >> l & 1) != 0 && index[l] == wanted)
        same |= Mask{1} << l;
    mask &= ~same;
    Instr one = instr;
    one.target = targets[wanted];
    const u32 back = warp.pc;
    if (mask == 0) {
      warp.pc = one.target;
      return;
    }
    // These lanes go; the rest, which stand behind the instruction, are looked at next.
    part(warp, one, same);
    const Split gone = running(warp);
    run(warp, warp.others.back());
    warp.others.back() = gone;
    warp.pc = back;
  }
}

void call(Warp &warp, const Instr &instr, Mask mask) {
  const Call &made = *static_cast<const Call *>(instr.aux);
  const Function &callee = *made.callee;
  FrameStorage storage = new_frame(callee.frame_bytes);
  std::memcpy(storage.get(), callee.constants.data(), callee.constants.size());
  for (size_t n = 0; n < made.arguments.size(); ++n)
    copy_lanes(storage.get(), callee.parameters[n].offset, warp.frame, made.arguments[n].offset,
               made.arguments[n].bytes, mask);
  const int number = new_join(warp);
  Join &join = warp.joins[static_cast<size_t>(number)];
  join.parent = warp.join;
  join.call = true;
  join.expected = mask;
  join.pc = warp.pc;
  join.function = warp.function;
  join.frame = warp.frame;
  join.from = &made;
  if (mask != warp.mask) { // a guarded call: the others go on, and wait where their branch ends
    Split other = running(warp);
    other.mask &= ~mask;
    warp.others.push_back(other);
  }
  Split split;
  split.mask = mask;
  split.join = number;
  split.function = &callee;
  split.frame = storage.get();
  join.storage = std::move(storage);
  run(warp, split);
}

void return_from(Warp &warp, const Instr &instr, Mask mask) {
  int number = warp.join;
  while (number >= 0 && !warp.joins[static_cast<size_t>(number)].call)
    number = warp.joins[static_cast<size_t>(number)].parent;
  if (number < 0) {
    exit_lanes(warp, instr, mask);
    return;
  }
  leave(warp, mask, number);
  Join &join = warp.joins[static_cast<size_t>(number)];
  join.arrived |= mask;
  warp.mask &= ~mask;
  if (join.arrived == join.expected)
    run(warp, complete(warp, number));
  if (warp.mask == 0)
    next_split(warp);
}

void exit_lanes(Warp &warp, const Instr &instr, Mask mask) {
  leave(warp, mask, -1);
  warp.live &= ~mask;
  warp.mask &= ~mask;
  // Who waited for these lanes alone looks again.
  for (Split &split : warp.others)
    if (split.state == Split::State::Members && (split.members & mask) != 0) {
      split.state = Split::State::Ready;
      --split.pc;
    }
  if (warp.mask == 0)
    next_split(warp);
}

Mask meet(Warp &warp, Mask mask, Mask named, bool one_place) {
  if ((mask & ~named) != 0)
    throw Fault{"not a member",
                concat("lane ", std::countr_zero(mask & ~named),
                       " executes it, and is not in the mask 0x", absl::Hex(named)),
                std::countr_zero(mask & ~named)};
  const Mask wanted = named & warp.live;
  Mask there = mask;
  if (there != wanted) {
    for (const Split &split : warp.others)
      if (split.state == Split::State::Members && split.members == named &&
          (!one_place || split.pc == warp.pc))
        there |= split.mask;
    if ((there & wanted) != wanted) {
      Split waits = running(warp);
      waits.mask = mask;
      waits.state = Split::State::Members;
      waits.members = named;
      if (mask != warp.mask)
        throw Fault{"members apart",
                    "lanes of one instruction name different lanes, some of whom are elsewhere",
                    std::countr_zero(mask)};
      warp.others.push_back(waits);
      warp.mask = 0;
      next_split(warp);
      return 0;
    }
    for (Split &split : warp.others)
      if (split.state == Split::State::Members && split.members == named &&
          (!one_place || split.pc == warp.pc))
        split.state = Split::State::Ready;
  }
  return there;
}

void wait_at_barrier(Warp &warp, u32 barrier) {
  Split waits = running(warp);
  waits.state = Split::State::Barrier;
  waits.members = barrier;
  warp.others.push_back(waits);
  warp.mask = 0;
  next_split(warp);
}

} // namespace quern::ptx

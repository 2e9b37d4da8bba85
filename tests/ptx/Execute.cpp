#include "tests/ptx/Execute.h"

#include "tests/ptx/Words.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace quern::ptx {
namespace {

template <bool kWatched> u64 run_instructions(Warp &warp, u64 budget) {
  u64 left = budget;
  do {
    const Instr &instr = warp.code[warp.pc++];
    const Mask mask = warp.mask & (warp.pred(instr.guard) ^ instr.flip);
    if (mask != 0)
      instr.fn(warp, instr, mask);
    if constexpr (kWatched)
      warp.launch->observer->instruction(warp, instr, mask);
    if (warp.pc == warp.rejoin)
      next_split(warp);
    --left;
  } while (left != 0 && !warp.stop);
  return budget - left;
}

void finish_barrier(Block &block, u32 number) {
  Barrier &barrier = block.barriers[number];
  for (Warp &warp : block.warps)
    for (Split &split : warp.others) {
      if (split.state != Split::State::Barrier || split.members != number)
        continue;
      split.state = Split::State::Ready;
      const Instr &instr = split.function->code[split.pc - 1];
      u8 *to = split.frame + instr.o[0];
      const u32 all = barrier.arrived;
      if (instr.sub == kBarrierCount) {
        for (int l = 0; l < kLanes; ++l)
          if ((split.mask >> l & 1) != 0)
            std::memcpy(to + 4 * l, &barrier.votes, 4);
      } else if (instr.sub == kBarrierAnd || instr.sub == kBarrierOr) {
        Mask old;
        std::memcpy(&old, to, 4);
        const bool holds = instr.sub == kBarrierAnd ? barrier.votes == all : barrier.votes != 0;
        old = holds ? old | split.mask : old & ~split.mask;
        std::memcpy(to, &old, 4);
      }
    }
  barrier = Barrier();
  if (block.launch->observer != nullptr)
    block.launch->observer->barrier_complete(block, number);
}

void check_barriers(Block &block) {
  for (u32 n = 0; n < std::size(block.barriers); ++n) {
    Barrier &barrier = block.barriers[n];
    if (barrier.arrived == 0)
      continue;
    const u32 wanted = barrier.expected != 0 ? barrier.expected : block.live_threads;
    if (barrier.arrived == wanted)
      finish_barrier(block, n);
    else if (barrier.arrived > wanted)
      throw Fault{
          "barrier",
          concat(barrier.arrived, " threads came to barrier ", n, ", which is for ", wanted), -1};
  }
}

void prepare(Launch &launch, Block &block) {
  block.launch = &launch;
  block.threads = launch.size[0] * launch.size[1] * launch.size[2];
  const u32 warps = (block.threads + kLanes - 1) / kLanes;
  block.shared.assign(launch.shared_bytes, 0);
  block.shared_state.assign(launch.shared_bytes + 64, 0);
  block.warps.resize(warps);
  for (u32 n = 0; n < warps; ++n) {
    Warp &warp = block.warps[n];
    warp.index = static_cast<int>(n);
    warp.block = &block;
    warp.launch = &launch;
    warp.frame_storage = new_frame(launch.entry->frame_bytes);
    std::memcpy(warp.frame_storage.get(), launch.entry->constants.data(),
                launch.entry->constants.size());
    warp.local_storage.assign(size_t{2} * kLanes * launch.local_bytes, 0);
    warp.local = warp.local_storage.data();
    warp.local_state = warp.local + size_t{kLanes} * launch.local_bytes;
    for (u32 l = 0; l < kLanes; ++l) {
      const u32 thread = n * kLanes + l;
      warp.tid[0][l] = thread % launch.size[0];
      warp.tid[1][l] = thread / launch.size[0] % launch.size[1];
      warp.tid[2][l] = thread / launch.size[0] / launch.size[1];
    }
  }
}

void begin(Launch &launch, Block &block, u32 number) {
  block.index = number;
  block.id[0] = number % launch.grid[0];
  block.id[1] = number / launch.grid[0] % launch.grid[1];
  block.id[2] = number / launch.grid[0] / launch.grid[1];
  block.live_threads = block.threads;
  std::fill(block.shared_state.begin(), block.shared_state.end(), 0);
  std::fill(std::begin(block.barriers), std::end(block.barriers), Barrier());
  for (Warp &warp : block.warps) {
    const u32 lanes = std::min<u32>(kLanes, block.threads - static_cast<u32>(warp.index) * kLanes);
    warp.live = warp.mask = lanes == kLanes ? kAllLanes : (Mask{1} << lanes) - 1;
    warp.pc = 0;
    warp.rejoin = ~0u;
    warp.join = -1;
    warp.function = launch.entry;
    warp.code = launch.entry->code.data();
    warp.frame = warp.frame_storage.get();
    warp.others.clear();
    warp.joins.clear();
    warp.poll = Poll();
    warp.open_copies.clear();
    warp.async_groups.clear();
    std::fill(warp.local_state, warp.local_state + size_t{kLanes} * launch.local_bytes, 0);
  }
  if (launch.observer != nullptr)
    launch.observer->begin_block(block);
}

bool ready(const Warp &warp) {
  if (warp.mask != 0)
    return true;
  return std::any_of(warp.others.begin(), warp.others.end(),
                     [](const Split &split) { return split.state == Split::State::Ready; });
}

/// Whether it reads the same word over and over, and nobody has changed it since.
bool waits_for_a_word(const Warp &warp) {
  return warp.poll.again && std::memcmp(warp.poll.at, &warp.poll.value, warp.poll.bytes) == 0 &&
         (warp.mask == 0 ? 0 : 1) + std::count_if(warp.others.begin(), warp.others.end(),
                                                  [](const Split &split) {
                                                    return split.state == Split::State::Ready;
                                                  }) ==
             1;
}

[[noreturn]] void stuck(const Block &block) {
  std::string where;
  for (const Warp &warp : block.warps)
    for (const Split &split : warp.others)
      absl::StrAppend(&where, where.empty() ? "" : "; ", "warp ", warp.index, " lanes 0x",
                      absl::Hex(split.mask), " at line ", split.function->code[split.pc - 1].line,
                      split.state == Split::State::Barrier
                          ? concat(" (barrier ", split.members, ")")
                          : concat(" (lanes 0x", absl::Hex(split.members), ")"));
  throw Fault{"deadlock", concat("no thread of the block can go on: ", where), -1};
}

// One warp of the block runs for a while, which is one that does more than poll if there is one.
// False when all are done.
bool turn(Launch &launch, Block &block, std::vector<Warp *> &able) {
  able.clear();
  size_t awake = 0;
  for (Warp &warp : block.warps) {
    if (warp.done() || !ready(warp))
      continue;
    able.push_back(&warp);
    if (!waits_for_a_word(warp))
      std::swap(able[awake++], able.back());
  }
  block.polls = awake == 0;
  if (awake != 0)
    able.resize(awake);
  if (able.empty()) {
    if (block.live_threads == 0)
      return false;
    stuck(block);
  }
  size_t chosen = 0;
  u64 slice = 1 << 16;
  if (launch.scheduler != nullptr) {
    chosen = launch.scheduler->choose_warp(block, able) % able.size();
    slice = std::max<u64>(1, launch.scheduler->slice());
  } else if (launch.turns++ != 0) {
    // Round and round.
    for (size_t n = 0; n < able.size(); ++n)
      if (able[n]->index > block.last_warp) {
        chosen = n;
        break;
      }
  }
  Warp &warp = *able[chosen];
  block.last_warp = warp.index;
  launch.running = &warp;
  warp.stop = false;
  warp.poll.again = false;
  const Mask before = warp.live;
  if (warp.mask == 0)
    next_split(warp);
  else
    rotate(warp);
  if (launch.observer != nullptr && launch.observer->asks_instructions())
    launch.executed += run_instructions<true>(warp, slice);
  else
    launch.executed += run_instructions<false>(warp, slice);
  block.live_threads -= static_cast<u32>(std::popcount(before & ~warp.live));
  if (launch.executed > launch.limit)
    throw Fault{
        "endless",
        concat("the launch ran ", launch.executed, " instructions of warps and did not end"), -1};
  check_barriers(block);
  return block.live_threads != 0;
}

void run_blocks(Launch &launch) {
  const u32 count = launch.grid[0] * launch.grid[1] * launch.grid[2];
  std::vector<Warp *> able;
  if (!launch.cooperative) {
    Block &block = launch.blocks.emplace_back();
    prepare(launch, block);
    for (u32 n = 0; n < count; ++n) {
      begin(launch, block, launch.scheduler != nullptr ? launch.scheduler->block(n, count) : n);
      while (turn(launch, block, able)) {
      }
      if (launch.observer != nullptr)
        launch.observer->end_block(block);
    }
    return;
  }
  std::vector<Block *> live, awake;
  for (u32 n = 0; n < count; ++n) {
    Block &block = launch.blocks.emplace_back();
    prepare(launch, block);
    begin(launch, block, n);
    live.push_back(&block);
  }
  for (size_t at = 0; !live.empty(); ++at) {
    // Who only polls is passed over, unless all do.
    awake.clear();
    for (Block *block : live)
      if (!block->polls || !std::ranges::all_of(block->warps, [](const Warp &warp) {
            return warp.done() || !ready(warp) || waits_for_a_word(warp);
          }))
        awake.push_back(block);
    const std::vector<Block *> &from = awake.empty() ? live : awake;
    Block *const chosen =
        from[launch.scheduler != nullptr ? launch.scheduler->choose_block(from) % from.size()
                                         : at % from.size()];
    if (turn(launch, *chosen, able))
      continue;
    if (launch.observer != nullptr)
      launch.observer->end_block(*chosen);
    std::erase(live, chosen);
  }
}

} // namespace

void arrive_at_barrier(Warp &warp, const Instr &instr, Mask mask, u32 barrier, u32 threads,
                       bool waits, bool aligned) {
  if (barrier >= std::size(warp.block->barriers))
    throw Fault{"barrier", concat("there is no barrier ", barrier), -1};
  if (aligned && mask != warp.live)
    throw Fault{
        "barrier divergence",
        absl::StrFormat("lanes 0x%08x come to a barrier, lanes 0x%08x of their warp are elsewhere",
                        mask, warp.live & ~mask),
        std::countr_zero(mask)};
  if (warp.launch->observer != nullptr)
    warp.launch->observer->barrier_arrive(warp, mask, barrier, threads, waits);
  Barrier &made = warp.block->barriers[barrier];
  if (made.arrived != 0 && made.expected != threads)
    throw Fault{
        "barrier",
        concat("barrier ", barrier, " is for ", made.expected, " threads and for ", threads), -1};
  made.expected = threads;
  made.arrived += threads != 0 && aligned ? kLanes : static_cast<u32>(std::popcount(mask));
  if (!waits) {
    warp.stop = true;
    return;
  }
  if (mask != warp.mask) { // a guarded barrier that is not aligned
    Split rest;
    rest.mask = warp.mask & ~mask;
    rest.pc = warp.pc;
    rest.join = warp.join;
    rest.function = warp.function;
    rest.frame = warp.frame;
    warp.others.push_back(rest);
    warp.mask = mask;
  }
  wait_at_barrier(warp, barrier);
}

void polled(Warp &warp, const Instr &instr, Mask mask, const u8 *at, u32 bytes) {
  Poll read{&instr, at, bytes};
  if (std::has_single_bit(mask) && bytes <= sizeof read.value) {
    std::memcpy(&read.value, at, bytes);
    read.again = warp.poll.by == read.by && warp.poll.at == at && warp.poll.value == read.value;
    warp.poll = read;
  }
  yield(warp);
}

std::string Report::text() const {
  std::string made =
      absl::StrFormat("%s: %s; kernel %s, PTX line %d (%s), block (%d, %d, %d)", kind, what, kernel,
                      line, opcode, block[0], block[1], block[2]);
  if (has_thread)
    absl::StrAppendFormat(&made, ", thread (%d, %d, %d)", thread[0], thread[1], thread[2]);
  return made;
}

std::optional<Report> execute(Launch &launch) {
  launch.shared_bytes = launch.dynamic_shared != 0
                            ? launch.module->shared_bytes + launch.dynamic_shared
                            : launch.entry->static_shared;
  launch.local_bytes = launch.module->local_bytes;
  try {
    if (launch.observer != nullptr)
      launch.observer->begin_launch(launch);
    run_blocks(launch);
    launch.running = nullptr;
    if (launch.observer != nullptr)
      launch.observer->end_launch(launch);
  } catch (const Fault &fault) {
    Report made;
    made.kind = fault.kind;
    made.what = fault.what;
    made.kernel = launch.entry->name;
    if (const Warp *warp = launch.running; warp != nullptr && warp->function != nullptr) {
      const Instr &instr = warp->function->code[warp->pc == 0 ? 0 : warp->pc - 1];
      made.line = instr.line;
      made.opcode = instr.name;
      std::copy(std::begin(warp->block->id), std::end(warp->block->id), made.block);
      if (fault.lane >= 0) {
        made.has_thread = true;
        for (int d = 0; d < 3; ++d)
          made.thread[d] = warp->tid[d][static_cast<size_t>(fault.lane)];
      }
    }
    return made;
  }
  return std::nullopt;
}

} // namespace quern::ptx

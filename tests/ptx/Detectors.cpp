#include "tests/ptx/Detectors.h"

#include "tests/ptx/Warp.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace quern::ptx {
namespace {

using memory::RaceReport;

memory::Reach reach_of(Scope scope) {
  return scope == Scope::Gpu || scope == Scope::System ? memory::Reach::Gpu : memory::Reach::Cta;
}

/// Strong reads in a row, by all threads of a launch, that are waiting in vain. Threads that work
/// touch memory, or come to a barrier, far more often.
constexpr u64 kVain = u64{1} << 20;

memory::Access access_of(const Access &access, const Instr &instr) {
  memory::Access made;
  made.act = access.kind == Access::Kind::Load    ? memory::Act::Load
             : access.kind == Access::Kind::Store ? memory::Act::Store
                                                  : memory::Act::Update;
  made.nc = access.read_only;
  made.element = std::max<u8>(1, instr.bytes);
  made.reach = reach_of(access.scope);
  switch (access.order) {
  case Order::Weak:
    // An atomic that says nothing is relaxed, at gpu scope.
    if (made.act == memory::Act::Update) {
      made.order = memory::Order::Relaxed;
      made.reach = memory::Reach::Gpu;
    }
    break;
  case Order::Volatile:
    made.order = memory::Order::Relaxed;
    made.reach = memory::Reach::Gpu;
    break;
  case Order::Relaxed:
    made.order = memory::Order::Relaxed;
    break;
  case Order::Acquire:
    made.order = memory::Order::Acquire;
    break;
  case Order::Release:
    made.order = memory::Order::Release;
    break;
  case Order::AcquireRelease:
  case Order::SequentiallyConsistent:
    made.order = memory::Order::AcquireRelease;
    break;
  }
  return made;
}

std::string side(const RaceReport::Side &side, const Launch *launch) {
  if (side.block == ~0u)
    return absl::StrCat("the host's copy ", side.write ? "to" : "from", " there");
  std::string made = absl::StrCat(side.copy ? "cp.async of " : "", "thread ", side.thread,
                                  " of block ", side.block);
  if (launch != nullptr) {
    const u32 *grid = launch->grid;
    const u32 *size = launch->size;
    made = absl::StrFormat(
        "%sthread (%d, %d, %d) of block (%d, %d, %d)", side.copy ? "cp.async of " : "",
        side.thread % size[0], side.thread / size[0] % size[1], side.thread / size[0] / size[1],
        side.block % grid[0], side.block / grid[0] % grid[1], side.block / grid[0] / grid[1]);
  }
  return absl::StrCat(made, side.write ? " wrote" : " read", " at PTX line ", side.pc);
}

std::string text_of(const RaceReport &report, const Launch *launch) {
  const bool other = report.earlier.operation != report.later.operation;
  std::string made =
      absl::StrFormat("%s memory at 0x%x: %s", report.shared ? "shared" : "global", report.address,
                      side(report.earlier, other ? nullptr : launch));
  if (other && !report.earlier.kernel.empty())
    absl::StrAppend(&made, " of kernel ", report.earlier.kernel);
  absl::StrAppend(&made, ", and ", side(report.later, launch), ": ", report.why);
  if (report.sync_pc != memory::kMaxPc)
    absl::StrAppend(&made, " (PTX line ", report.sync_pc, ")");
  return made;
}

} // namespace

Detectors::Detectors(u64 base, u64 bytes)
    : races_([this](const RaceReport &report) { tell(report); }) {
  races_.add(base, bytes);
}

void Detectors::tell(const RaceReport &report) {
  if (!report_)
    report_ = report;
}

void Detectors::raise() {
  if (!report_)
    return;
  const RaceReport report = *std::exchange(report_, std::nullopt);
  throw Fault{report.kind == RaceReport::Kind::Race ? "race" : "non-coherent read",
              text_of(report, launch_), static_cast<int>(report.later.thread % kLanes)};
}

std::optional<std::string> Detectors::host_copy(memory::Streams::Stream stream, u64 address,
                                                u64 bytes, bool write) {
  races_.host_copy(stream, address, bytes, write);
  if (!report_)
    return std::nullopt;
  return text_of(*std::exchange(report_, std::nullopt), nullptr);
}

void Detectors::begin_launch(const Launch &launch) {
  // What a launch that ended with a fault has left.
  blocks_.clear();
  report_.reset();
  progress();
  last_ = 0;
  launch_ = &launch;
  races_.begin_launch(stream_, launch.entry->name);
}

void Detectors::begin_block(const Block &block) {
  Watched &made = blocks_.emplace_back();
  made.block = &block;
  made.time = races_.begin_block(block.index, block.threads, static_cast<u32>(block.shared.size()));
}

void Detectors::end_block(const Block &block) {
  progress();
  Watched &ended = watched(block);
  races_.end_block(std::move(ended.time));
  blocks_.erase(blocks_.begin() + (&ended - blocks_.data()));
  last_ = 0;
}

Detectors::Watched &Detectors::watched(const Block &block) {
  if (last_ >= blocks_.size() || blocks_[last_].block != &block)
    last_ = static_cast<size_t>(
        std::find_if(blocks_.begin(), blocks_.end(),
                     [&](const Watched &made) { return made.block == &block; }) -
        blocks_.begin());
  return blocks_[last_];
}

memory::BlockTime &Detectors::time(const Warp &warp) {
  memory::BlockTime &time = *watched(*warp.block).time;
  time.warps[static_cast<size_t>(warp.index)].live = warp.live;
  return time;
}

// A row of 16 bytes is named by one lane and goes to four, or, transposed, two bytes of it to each
// of eight: who gets the bytes is who reads them.
void Detectors::matrices(const Warp &warp, const u32 *rows, const Access &access,
                         const Instr &instr) {
  const bool transposed = std::string_view(instr.name).find(".trans") != std::string_view::npos;
  const int count = std::popcount(access.mask) / 8;
  u32 offsets[kLanes];
  for (int n = 0; n < count; ++n)
    for (int half = 0; half < (transposed ? 2 : 1); ++half) {
      for (int lane = 0; lane < kLanes; ++lane)
        offsets[lane] = transposed
                            ? rows[8 * n + 2 * (lane % 4) + half] + 2 * static_cast<u32>(lane / 4)
                            : rows[8 * n + lane / 4] + 4 * static_cast<u32>(lane % 4);
      races_.shared(time(warp), warp.index, kAllLanes, offsets, transposed ? 2 : 4,
                    access_of(access, instr), static_cast<u32>(instr.line));
    }
}

void Detectors::poll(const Warp &warp, const Access &access) {
  if (++polls_ < kVain)
    return;
  const int lane = std::countr_zero(access.mask);
  std::string where;
  const Launch &launch = *warp.launch;
  if (!launch.cooperative && u64{launch.grid[0]} * launch.grid[1] * launch.grid[2] > 1)
    where = ", and blocks of a launch that is not cooperative need not be resident together";
  throw Fault{"deadlock",
              absl::StrFormat("the threads that are resident only wait: %d reads in a row, the "
                              "last at 0x%x, saw nothing new%s",
                              polls_, access.address[lane], where),
              lane};
}

void Detectors::access(const Warp &warp, const Instr &instr, const Access &access) {
  if (access.asynchronous)
    return; // async_issue() says what it does
  if (access.kind == Access::Kind::Load && access.order >= Order::Volatile)
    poll(warp, access);
  else
    progress();
  const u32 line = static_cast<u32>(instr.line);
  if (access.space == Space::Global) {
    races_.global(time(warp), warp.index, access.mask, access.address, access.bytes,
                  access_of(access, instr), line);
  } else if (access.space == Space::Shared) {
    u32 offsets[kLanes];
    for (int lane = 0; lane < kLanes; ++lane)
      offsets[lane] = static_cast<u32>(access.address[lane]);
    if (instr.bytes == 16 && std::string_view(instr.name).substr(2, 6) == "matrix")
      matrices(warp, offsets, access, instr);
    else
      races_.shared(time(warp), warp.index, access.mask, offsets, access.bytes,
                    access_of(access, instr), line);
  }
  raise();
}

void Detectors::barrier_arrive(const Warp &warp, Mask, u32 barrier, u32, bool waits) {
  progress();
  Watched &block = watched(*warp.block);
  if (!waits)
    races_.arrive(time(warp), warp.index, barrier);
  else if (std::vector<int> &waiting = block.waiting[barrier];
           std::find(waiting.begin(), waiting.end(), warp.index) == waiting.end())
    waiting.push_back(warp.index);
}

void Detectors::barrier_complete(const Block &block, u32 barrier) {
  Watched &made = watched(block);
  for (const Warp &warp : block.warps)
    made.time->warps[static_cast<size_t>(warp.index)].live = warp.live;
  races_.barrier(*made.time, barrier, made.waiting[barrier]);
  made.waiting[barrier].clear();
}

void Detectors::warp_sync(const Warp &warp, Mask mask) {
  races_.warp_barrier(time(warp), warp.index, mask);
}

void Detectors::fence(const Warp &warp, Mask mask, Order order, Scope scope) {
  if (scope == Scope::None)
    return; // of a proxy: orders no threads
  races_.fence(time(warp), warp.index, mask, reach_of(scope),
               order == Order::Acquire   ? memory::Order::Acquire
               : order == Order::Release ? memory::Order::Release
                                         : memory::Order::AcquireRelease);
}

void Detectors::async_issue(const Warp &warp, const Instr &instr,
                            std::span<const AsyncCopy> copies) {
  u32 offsets[kLanes] = {};
  u64 sources[kLanes] = {};
  u32 valid[kLanes] = {};
  Mask mask = 0;
  u32 bytes = 0;
  for (const AsyncCopy &copy : copies) {
    mask |= Mask{1} << copy.lane;
    offsets[copy.lane] = copy.to;
    sources[copy.lane] = copy.from;
    valid[copy.lane] = copy.valid;
    bytes = copy.bytes;
  }
  races_.copy(time(warp), warp.index, mask, offsets, bytes, sources, valid,
              static_cast<u32>(instr.line));
  raise();
}

void Detectors::async_commit(const Warp &warp, Mask mask) {
  races_.commit(time(warp), warp.index, mask);
}

void Detectors::async_wait(const Warp &warp, Mask mask, u32 pending) {
  races_.wait(time(warp), warp.index, mask, pending);
}

} // namespace quern::ptx

#include "tests/ptx/memory/Races.h"

#include "tests/ptx/memory/Context.h"

#include <algorithm>
#include <cstdlib>
#include <sys/mman.h>

namespace quern::ptx::memory {
namespace {

/// Zeros that take memory only where they are touched.
uint64_t *reserve(uint64_t words) {
  void *at = mmap(nullptr, words * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    std::abort(); // of the address space, not of memory
  return static_cast<uint64_t *>(at);
}

void give_back(const Watched &watched) {
  const uint64_t bytes = (watched.bytes + 3) / 4 * sizeof(uint64_t);
  munmap(watched.writes, bytes);
  munmap(watched.reads, bytes);
}

} // namespace

Races::~Races() {
  for (const auto &[base, watched] : watched_)
    give_back(watched);
}

void Races::add(uint64_t base, uint64_t bytes) {
  if (bytes == 0)
    return;
  const uint64_t words = (bytes + 3) / 4;
  watched_[base] = {base, bytes, reserve(words), reserve(words)};
  last_ = nullptr;
}

void Races::remove(uint64_t base) {
  auto at = watched_.find(base);
  if (at == watched_.end())
    return;
  give_back(at->second);
  watched_.erase(at);
  last_ = nullptr;
}

uint32_t Races::begin_segment(uint32_t block, int warp, uint32_t epoch, bool copy) {
  segments_.push_back({operation_, block, epoch, static_cast<uint8_t>(warp), copy});
  return first_segment_ + static_cast<uint32_t>(segments_.size()) - 1;
}

void Races::next_epoch(BlockTime &block, int warp) {
  WarpTime &time = block.warps[warp];
  time.segment = begin_segment(block.index, warp, ++time.epoch, false);
}

void Races::begin_operation(Streams::Stream stream, const std::string &name) {
  if (streams_.all_past())
    forget();
  std::erase_if(host_copies_,
                [&](const HostCopy &copy) { return streams_.is_past(copy.operation); });
  operation_ = streams_.issue(stream);
  names_.push_back(&*all_names_.insert(name).first);
  told_.clear();
  const uint32_t next = first_segment_ + static_cast<uint32_t>(segments_.size());
  first_segments_.push_back(next);
  const Streams::Operation first = streams_.first_beside_latest();
  floor_ = std::max(first_segment_, first_segments_[first - 1]);
}

/// All that was comes before whatever is to come: nothing of it need be known any more.
void Races::forget() {
  first_segment_ += static_cast<uint32_t>(segments_.size());
  segments_.clear();
  readers_.clear();
  released_.clear();
  if (first_segment_ <= kMaxSegment / 2)
    return;
  // Numbers run out: begin anew.
  for (auto &[base, watched] : watched_) {
    give_back(watched);
    watched.writes = reserve((watched.bytes + 3) / 4);
    watched.reads = reserve((watched.bytes + 3) / 4);
  }
  idle_.clear();
  std::fill(first_segments_.begin(), first_segments_.end(), 1);
  first_segment_ = 1;
}

void Races::begin_launch(Streams::Stream stream, std::string kernel) {
  begin_operation(stream, kernel);
  stamp_host_copies();
}

void Races::stamp_host_copies() {
  // Copies that run beside this launch.
  for (const HostCopy &copy : host_copies_) {
    Watched *memory = find(copy.address);
    if (memory == nullptr || streams_.is_before_latest(copy.operation))
      continue;
    const uint64_t first = (copy.address - memory->base) / 4;
    const uint64_t last =
        (std::min(copy.address + copy.bytes, memory->base + memory->bytes) - 1 - memory->base) / 4;
    const uint64_t stamp = stamp_of(copy.segment, kMaxPc, kBytes);
    for (uint64_t i = first; i <= last; ++i) {
      if (copy.write && segment_of(memory->writes[i]) < copy.segment)
        memory->writes[i] = stamp;
      if (!copy.write)
        memory->reads[i] =
            readers_.add(memory->reads[i], Reader{stamp, 1, false},
                         static_cast<uint64_t>(floor_) << 32, [](const Reader &) { return false; });
    }
  }
}

void Races::host_copy(Streams::Stream stream, uint64_t address, uint64_t bytes, bool write) {
  begin_operation(stream, "");
  if (bytes == 0)
    return;
  BlockTime host;
  host.index = kHost;
  host.warps.resize(1);
  host.base = Ref<const BlockView>(new BlockView);
  host.warps[0].segment = begin_segment(kHost, 0, 1, false);
  Watched *memory = find(address);
  if (floor_ < host.warps[0].segment && memory != nullptr) {
    Context context{host,
                    host.warps[0],
                    0,
                    false,
                    Access{write ? Act::Store : Act::Load},
                    kMaxPc,
                    false,
                    static_cast<uint64_t>(floor_) << 32,
                    readers_,
                    stamp_of(host.warps[0].segment, kMaxPc, 0),
                    memory};
    one(context, address - memory->base,
        static_cast<uint32_t>(std::min(bytes, memory->base + memory->bytes - address)), 1);
  }
  host_copies_.push_back({operation_, host.warps[0].segment, address, bytes, write});
}

std::unique_ptr<BlockTime> Races::begin_block(uint32_t index, uint32_t threads,
                                              uint32_t shared_bytes) {
  std::unique_ptr<BlockTime> block;
  if (idle_.empty()) {
    block = std::make_unique<BlockTime>();
  } else {
    block = std::move(idle_.back());
    idle_.pop_back();
  }
  const int warps = static_cast<int>((threads + kLanes - 1) / kLanes);
  block->index = index;
  block->warps.clear();
  block->warps.resize(warps);
  if (threads % kLanes != 0)
    block->warps.back().live = (1u << threads % kLanes) - 1;
  auto *base = new BlockView;
  base->block = index;
  base->epochs.resize(warps);
  base->copies.resize(warps);
  block->base = Ref<const BlockView>(base);
  for (int warp = 0; warp < warps; ++warp) {
    block->warps[warp].segment = begin_segment(index, warp, 1, false);
    if (warp == 0)
      block->floor = block->warps[0].segment;
  }
  const size_t words = (shared_bytes + 3) / 4;
  // Stamps of whoever had this memory before are below the floor, if they are of the same memory.
  if (block->stamps.size() != 2 * words)
    block->stamps.assign(2 * words, 0);
  block->shared = {0, shared_bytes, block->stamps.data(), block->stamps.data() + words};
  return block;
}

void Races::end_block(std::unique_ptr<BlockTime> block) {
  block->released.clear();
  block->arrived.clear();
  block->warps.clear();
  idle_.push_back(std::move(block));
}

void Races::tell(const Context &context, const Reader &prior, int prior_lane, bool prior_write,
                 int lane, uint64_t index, uint32_t bytes, RaceReport::Kind kind) {
  if (!told_.insert({pc_of(prior.stamp), context.pc, context.shared, kind}).second)
    return;
  const Segment &then = segment(prior.stamp);
  RaceReport report;
  report.kind = kind;
  report.shared = context.shared;
  report.address = context.memory->base + index * 4 + std::countr_zero(bytes | 8);
  report.earlier = {*names_[then.operation - 1],
                    then.operation,
                    then.block,
                    static_cast<uint32_t>(then.warp * kLanes + prior_lane),
                    pc_of(prior.stamp),
                    prior_write,
                    prior.copy};
  report.later = {*names_[operation_ - 1],
                  operation_,
                  context.block.index,
                  static_cast<uint32_t>(context.index * kLanes + lane),
                  context.pc,
                  context.access.act != Act::Load,
                  context.copy};
  if (kind == RaceReport::Kind::NonCoherentRead) {
    report.why = "ld.global.nc may read only what nothing writes while its kernel runs";
  } else {
    report.why = reason(context, prior.stamp, prior_lane, prior.copy, lane);
    if (then.operation == operation_ && then.block != context.block.index &&
        context.warp.near != WarpTime::Near::None)
      report.sync_pc = context.warp.near_pc;
  }
  report_(report);
}

std::string Races::reason(const Context &context, uint64_t prior, int prior_lane, bool copy,
                          int lane) const {
  const Segment &then = segment(prior);
  if (then.operation != operation_)
    return "nothing orders the streams of the two";
  if (then.block == context.block.index) {
    const WarpTime &warp = context.block.warps[then.warp];
    if (copy && (!warp.done || warp.done[prior_lane] < then.epoch))
      return then.warp == context.index && prior_lane == lane
                 ? "the thread has not waited for its copy (cp.async.wait_group)"
                 : "the copy's thread has not waited for it (cp.async.wait_group)";
    if (copy)
      return "no barrier since the copy's thread waited for it: the wait is for that thread alone";
    if (then.warp == context.index)
      return "no bar.warp.sync (__syncwarp) between lanes of a warp, which need not run in step";
    return "no barrier (__syncthreads) between the warps";
  }
  switch (context.warp.near) {
  case WarpTime::Near::None:
    break;
  case WarpTime::Near::NothingReleased:
    return "what this warp synchronised by was written without a release (no .release, no fence "
           "before it)";
  case WarpTime::Near::ReleaseTooNarrow:
    return "what this warp synchronised by was released at cta scope: another block needs gpu "
           "scope";
  case WarpTime::Near::AcquireTooNarrow:
    return "this warp acquired at cta scope what another block released: that needs gpu scope";
  case WarpTime::Near::NotAcquired:
    return "this warp read what was released without acquiring it (no .acquire, no fence after it)";
  }
  return "nothing orders blocks of a launch but a release at gpu scope that the other acquires";
}

} // namespace quern::ptx::memory

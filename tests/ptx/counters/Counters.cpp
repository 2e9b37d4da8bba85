#include "tests/ptx/counters/Counters.h"

#include "tests/ptx/Warp.h"

#include <algorithm>
#include <bit>
#include <new>
#include <sys/mman.h>

namespace quern::ptx {
namespace {

constexpr u64 kSector = 32;
constexpr u64 kLine = 128;

u32 *reserve(u64 count) {
  void *at = mmap(nullptr, count * sizeof(u32), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    throw std::bad_alloc();
  return static_cast<u32 *>(at);
}

bool begins(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

} // namespace

std::string_view name_of(Unit unit) {
  constexpr std::string_view kNames[kUnits] = {
      "integer", "float", "double",   "special",  "convert", "tensor",  "global",
      "shared",  "local", "constant", "exchange", "barrier", "control", "other"};
  return kNames[static_cast<size_t>(unit)];
}

Unit unit_of(std::string_view opcode) {
  const std::string_view base = opcode.substr(0, opcode.find('.'));
  const auto has = [&](std::string_view part) {
    return opcode.find(part) != std::string_view::npos;
  };
  if (base == "mma" || base == "wgmma" || base == "wmma")
    return Unit::Tensor;
  if (base == "ldmatrix" || base == "stmatrix")
    return Unit::Shared;
  if (base == "ld" || base == "ldu" || base == "st" || base == "atom" || base == "red" ||
      base == "cp" || base == "prefetch") {
    if (begins(opcode, "cp.async.commit") || begins(opcode, "cp.async.wait"))
      return Unit::Barrier;
    return has(".param") || has(".const")   ? Unit::Constant
           : has(".shared") && base != "cp" ? Unit::Shared
           : has(".local")                  ? Unit::Local
                                            : Unit::Global;
  }
  if (base == "shfl" || base == "vote" || base == "redux" || base == "match" ||
      base == "activemask" || base == "elect")
    return Unit::Exchange;
  if (base == "bar" || base == "barrier" || base == "membar" || base == "fence" ||
      base == "mbarrier")
    return Unit::Barrier;
  if (base == "bra" || base == "brx" || base == "call" || base == "ret" || base == "exit" ||
      base == "trap")
    return Unit::Control;
  if (base == "cvt" || base == "cvta")
    return base == "cvta" ? Unit::Other : Unit::Convert;
  if (has(".approx") || base == "tanh")
    return Unit::Special;
  if (base == "mov" || base == "setp" || base == "selp" || base == "set" || base == "slct" ||
      base == "nop")
    return Unit::Other;
  if (has(".f64"))
    return Unit::Double;
  if (has(".f32") || has(".f16") || has(".bf16"))
    return Unit::Float;
  return Unit::Integer;
}

u64 operations_of(std::string_view opcode) {
  // ...m16n8k16...
  for (size_t at = opcode.find(".m"); at != std::string_view::npos;
       at = opcode.find(".m", at + 1)) {
    u64 shape[3] = {0, 0, 0};
    size_t next = at + 1;
    int read = 0;
    for (const char letter : {'m', 'n', 'k'}) {
      if (next >= opcode.size() || opcode[next] != letter)
        break;
      for (++next; next < opcode.size() && opcode[next] >= '0' && opcode[next] <= '9'; ++next)
        shape[read] = shape[read] * 10 + static_cast<u64>(opcode[next] - '0');
      ++read;
    }
    if (read == 3)
      return 2 * shape[0] * shape[1] * shape[2];
  }
  return 0;
}

void Counters::add(const Counters &other) {
  launches += other.launches;
  warp_instructions += other.warp_instructions;
  lane_instructions += other.lane_instructions;
  for (int n = 0; n < kUnits; ++n)
    by_unit[static_cast<size_t>(n)] += other.by_unit[static_cast<size_t>(n)];
  divergent += other.divergent;
  load_bytes += other.load_bytes;
  store_bytes += other.store_bytes;
  requests += other.requests;
  sectors += other.sectors;
  ideal_sectors += other.ideal_sectors;
  distinct_load_sectors += other.distinct_load_sectors;
  distinct_store_sectors += other.distinct_store_sectors;
  distinct_lines += other.distinct_lines;
  bursts += other.bursts;
  burst_bytes += other.burst_bytes;
  shared_requests += other.shared_requests;
  shared_bytes_moved += other.shared_bytes_moved;
  shared_passes += other.shared_passes;
  ideal_shared_passes += other.ideal_shared_passes;
  if (other.worst_conflict > worst_conflict) {
    worst_conflict = other.worst_conflict;
    worst_line = other.worst_line;
  }
  local_bytes += other.local_bytes;
  atomics += other.atomics;
  barriers += other.barriers;
  tensor_operations += other.tensor_operations;
}

Passes shared_passes(const u64 *addresses, Mask mask, u32 bytes) {
  Passes made;
  const u32 together = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
  const u32 words = std::max<u32>(1, bytes / 4);
  for (u32 first = 0; first < kLanes; first += together) {
    // The words that this part of the warp wants, each once.
    u64 wanted[32];
    u32 count = 0;
    for (u32 lane = first; lane < first + together; ++lane)
      if ((mask >> lane & 1) != 0)
        for (u32 word = 0; word < words; ++word)
          wanted[count++] = addresses[lane] / 4 + word;
    if (count == 0)
      continue;
    std::sort(wanted, wanted + count);
    u32 banks[32] = {};
    u32 most = 0;
    for (u32 n = 0; n < count; ++n)
      if (n == 0 || wanted[n] != wanted[n - 1])
        most = std::max(most, ++banks[wanted[n] % 32]);
    made.taken += most;
    ++made.ideal;
  }
  return made;
}

Counting::Counting(u64 base, u64 bytes)
    : base_(base), bytes_(bytes), loaded_(reserve(bytes / kSector + 1)),
      stored_(reserve(bytes / kSector + 1)) {}

Counting::~Counting() {
  munmap(loaded_, (bytes_ / kSector + 1) * sizeof(u32));
  munmap(stored_, (bytes_ / kSector + 1) * sizeof(u32));
}

void Counting::begin_launch(const Launch &launch) {
  ++launch_;
  now_ = Counters();
  now_.kernel = launch.entry->name;
  now_.launches = 1;
  now_.blocks = u64{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  now_.threads = launch.size[0] * launch.size[1] * launch.size[2];
  now_.shared_bytes = launch.shared_bytes;
  now_.register_bytes = launch.entry->registers;
  now_.cooperative = launch.cooperative;
  flights_.clear();
  last_warp_ = nullptr;
}

void Counting::end_launch(const Launch &) {
  for (auto &[warp, flight] : flights_)
    land(flight);
  const auto same = std::find_if(kernels_.begin(), kernels_.end(), [&](const Counters &made) {
    return made.kernel == now_.kernel && made.blocks == now_.blocks;
  });
  if (same == kernels_.end())
    kernels_.push_back(now_);
  else
    same->add(now_);
}

void Counting::begin_block(const Block &block) {
  for (const Warp &warp : block.warps)
    if (const auto flight = flights_.find(&warp); flight != flights_.end())
      land(flight->second);
}

Counting::Flight &Counting::flight_of(const Warp &warp) {
  if (last_warp_ != &warp) {
    last_warp_ = &warp;
    last_flight_ = &flights_[&warp];
  }
  return *last_flight_;
}

void Counting::land(Flight &flight) {
  if (flight.bytes != 0) {
    ++now_.bursts;
    now_.burst_bytes += flight.bytes;
  }
  flight.bytes = 0;
  flight.asynchronous = false;
  flight.registers.clear();
}

void Counting::touch(const u64 *addresses, Mask mask, u32 bytes, bool store, u64 &sectors) {
  u64 touched[2 * kLanes];
  u32 count = 0;
  u32 lanes = 0;
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const u64 address = addresses[std::countr_zero(rest)];
    ++lanes;
    for (u64 sector = address / kSector; sector <= (address + bytes - 1) / kSector; ++sector)
      if (count == 0 || touched[count - 1] != sector)
        touched[count++] = sector;
  }
  std::sort(touched, touched + count);
  count = static_cast<u32>(std::unique(touched, touched + count) - touched);
  sectors = count;
  ++now_.requests;
  now_.sectors += count;
  // Lanes at one address ask for the same bytes.
  u64 different = 0;
  u64 sorted[kLanes];
  u32 n = 0;
  for (Mask rest = mask; rest != 0; rest &= rest - 1)
    sorted[n++] = addresses[std::countr_zero(rest)];
  std::sort(sorted, sorted + n);
  different = static_cast<u64>(std::unique(sorted, sorted + n) - sorted);
  now_.ideal_sectors += std::min<u64>(count, (different * bytes + kSector - 1) / kSector);
  (store ? now_.store_bytes : now_.load_bytes) += u64{lanes} * bytes;
  u32 *const marks = store ? stored_ : loaded_;
  for (u32 i = 0; i < count; ++i) {
    const u64 sector = touched[i] - base_ / kSector;
    if (sector >= bytes_ / kSector || marks[sector] == launch_)
      continue;
    const u64 first = sector / (kLine / kSector) * (kLine / kSector);
    bool fresh = true;
    for (u64 other = first; other < first + kLine / kSector; ++other)
      fresh = fresh && loaded_[other] != launch_ && stored_[other] != launch_;
    now_.distinct_lines += fresh ? 1 : 0;
    marks[sector] = launch_;
    ++(store ? now_.distinct_store_sectors : now_.distinct_load_sectors);
  }
}

void Counting::access(const Warp &warp, const Instr &instr, const Access &access) {
  const u64 lanes = static_cast<u64>(std::popcount(access.mask));
  if (access.kind == Access::Kind::Atomic)
    ++now_.atomics;
  if (access.space == Space::Global) {
    u64 sectors = 0;
    touch(access.address, access.mask, access.bytes, access.kind != Access::Kind::Load, sectors);
    if (access.kind == Access::Kind::Load) {
      Flight &flight = flight_of(warp);
      flight.bytes += sectors * kSector;
      for (u32 n = 0; n < instr.count; ++n)
        flight.registers.push_back(instr.o[n]);
    }
  } else if (access.space == Space::Shared) {
    ++now_.shared_requests;
    now_.shared_bytes_moved += lanes * access.bytes;
    const Passes passes = shared_passes(access.address, access.mask, access.bytes);
    now_.shared_passes += passes.taken;
    now_.ideal_shared_passes += passes.ideal;
    const u32 ways = (passes.taken + passes.ideal - 1) / std::max<u32>(1, passes.ideal);
    if (ways > now_.worst_conflict) {
      now_.worst_conflict = ways;
      now_.worst_line = instr.line;
    }
  } else if (access.space == Space::Local) {
    now_.local_bytes += lanes * access.bytes;
  }
}

void Counting::async_issue(const Warp &warp, const Instr &instr,
                           std::span<const AsyncCopy> copies) {
  u64 from[kLanes] = {};
  u64 to[kLanes] = {};
  Mask read = 0;
  Mask written = 0;
  u32 bytes = 4;
  for (const AsyncCopy &copy : copies) {
    from[copy.lane] = copy.from;
    to[copy.lane] = copy.to;
    written |= Mask{1} << copy.lane;
    read |= copy.valid != 0 ? Mask{1} << copy.lane : 0;
    bytes = copy.bytes;
  }
  if (read != 0) {
    u64 sectors = 0;
    touch(from, read, bytes, false, sectors);
    Flight &flight = flight_of(warp);
    flight.bytes += sectors * kSector;
    flight.asynchronous = true;
  }
  Access store;
  store.kind = Access::Kind::Store;
  store.space = Space::Shared;
  store.bytes = bytes;
  store.mask = written;
  store.address = to;
  access(warp, instr, store);
}

void Counting::async_wait(const Warp &warp, Mask, u32) {
  // Groups that stay in flight are taken as part of the next burst: what was waited for has landed.
  Flight &flight = flight_of(warp);
  if (flight.asynchronous)
    land(flight);
}

void Counting::instruction(const Warp &warp, const Instr &instr, Mask mask) {
  ++now_.warp_instructions;
  const u32 lanes = static_cast<u32>(std::popcount(mask));
  now_.lane_instructions += lanes;
  now_.divergent += lanes != 0 && (warp.live & ~mask) != 0 ? 1 : 0;
  auto known = known_.find(instr.name);
  if (known == known_.end()) {
    const Unit unit = unit_of(instr.name);
    known =
        known_
            .emplace(instr.name, Known{unit, unit == Unit::Tensor ? operations_of(instr.name) : 0})
            .first;
  }
  ++now_.by_unit[static_cast<size_t>(known->second.unit)];
  if (mask != 0)
    now_.tensor_operations += known->second.operations;
  // What uses a loaded register has to wait for it; a load's own results do not.
  if (known->second.unit == Unit::Global)
    return;
  Flight &flight = flight_of(warp);
  for (const u32 loaded : flight.registers)
    for (const u32 used : instr.o)
      if (used == loaded) {
        land(flight);
        return;
      }
}

} // namespace quern::ptx

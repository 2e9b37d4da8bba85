#include "tests/ptx/Resolve.h"

#include "tests/ptx/Words.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <bit>
#include <cstring>

QUERN_PTX_BEGIN
namespace {

const char *verb(Access::Kind kind) {
  return kind == Access::Kind::Load    ? "read"
         : kind == Access::Kind::Store ? "write"
                                       : "atomic access";
}

[[noreturn]] void misaligned(const Resolved &at, Mask mask, u32 bytes, Access::Kind kind) {
  int lane = std::countr_zero(mask);
  for (int l = lane; l < kLanes; ++l)
    if ((mask >> l & 1) != 0 && at.address[l] % bytes != 0) {
      lane = l;
      break;
    }
  throw Fault{"misaligned",
              absl::StrFormat("%s of %d bytes at 0x%x", verb(kind), bytes, at.address[lane]), lane};
}

struct Extent {
  u64 least = ~u64{0}, most = 0, low_bits = 0;
};

Extent extent_of(const u64 *address, Mask mask) {
  Extent made;
  if (mask == kAllLanes) {
    for (int l = 0; l < kLanes; ++l) {
      made.least = address[l] < made.least ? address[l] : made.least;
      made.most = address[l] > made.most ? address[l] : made.most;
      made.low_bits |= address[l];
    }
    return made;
  }
  for (int l = 0; l < kLanes; ++l) {
    const bool in = (mask >> l & 1) != 0;
    const u64 low = in ? address[l] : ~u64{0}, high = in ? address[l] : 0;
    made.least = low < made.least ? low : made.least;
    made.most = high > made.most ? high : made.most;
    made.low_bits |= high;
  }
  return made;
}

// Finds the lane that fails, for the report.
[[noreturn]] void global_fault(Warp &warp, Mask mask, u32 bytes, Access::Kind kind,
                               const Resolved &at) {
  const Memory &memory = *warp.launch->memory;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0)
      continue;
    const u64 address = at.address[l];
    Memory::Fault fault = memory.check(address, bytes, kind == Access::Kind::Store);
    if (fault == Memory::Fault::None && kind == Access::Kind::Atomic)
      fault = memory.check(address, bytes, true);
    const std::string what = concat(verb(kind), " of ", bytes, " bytes ");
    switch (fault) {
    case Memory::Fault::None:
      break;
    case Memory::Fault::Unmapped:
    case Memory::Fault::Freed:
      throw Fault{fault == Memory::Fault::Freed ? "freed memory" : "out of bounds",
                  what + memory.describe(address), l};
    case Memory::Fault::Unwritten:
      throw Fault{"uninitialized", what + memory.describe(address), l};
    case Memory::Fault::ReadOnly:
      throw Fault{"read-only memory", what + memory.describe(address), l};
    }
  }
  throw Fault{"out of bounds", concat(verb(kind), " of ", bytes, " bytes"), std::countr_zero(mask)};
}

bool contiguous(const u64 *address, u32 bytes) {
  bool steps = true;
  for (u64 l = 1; l < kLanes; ++l)
    steps &= address[l] == address[0] + l * bytes;
  return steps;
}

// Not all of it in pages that are there and written throughout: asks for each byte.
void global_by_byte(Warp &warp, Mask mask, u32 bytes, Access::Kind kind, const Extent &extent,
                    const Resolved &at) {
  Memory &memory = *warp.launch->memory;
  const u64 stretch = extent.most + bytes - extent.least;
  const bool one = memory.reserved(extent.least, extent.most + bytes - 1) &&
                   extent.most + bytes > extent.most && stretch <= 4096;
  if (kind != Access::Kind::Store && !(one && memory.written(extent.least, stretch)))
    for (int l = 0; l < kLanes; ++l)
      if ((mask >> l & 1) != 0 && !(memory.reserved(at.address[l], at.address[l] + bytes - 1) &&
                                    memory.written(at.address[l], bytes)))
        global_fault(warp, mask, bytes, kind, at);
  if (kind == Access::Kind::Load)
    return;
  if (one && mask == kAllLanes && contiguous(at.address, bytes)) {
    if (!memory.store(extent.least, stretch))
      global_fault(warp, mask, bytes, kind, at);
    return;
  }
  for (int l = 0; l < kLanes; ++l)
    if ((mask >> l & 1) != 0 && !(memory.reserved(at.address[l], at.address[l] + bytes - 1) &&
                                  memory.store(at.address[l], bytes)))
      global_fault(warp, mask, bytes, kind, at);
}

// Spaces with bounds of their own and a byte of state for each byte: shared, local.
void bounded(const char *space, u8 *data, u8 *state, u64 size, Mask mask, const Extent &extent,
             u32 bytes, Access::Kind kind, Resolved &at) {
  if (extent.most >= size || size - extent.most < bytes) {
    for (int l = 0; l < kLanes; ++l)
      if ((mask >> l & 1) != 0 && (at.address[l] >= size || size - at.address[l] < bytes))
        throw Fault{"out of bounds",
                    absl::StrFormat("%s of %d bytes at %s 0x%x, of which there are %d bytes",
                                    verb(kind), bytes, space, at.address[l], size),
                    l};
  }
  for (int l = 0; l < kLanes; ++l)
    at.host[l] = reinterpret_cast<u64>(data) + at.address[l];
  const u64 stretch = extent.most + bytes - extent.least;
  if (kind != Access::Kind::Store) {
    // All of the stretch written, which it mostly is, is one look.
    bool all = stretch <= 2048;
    if (all) {
      u8 least = 1;
      for (u64 n = 0; n < stretch; ++n)
        least &= state[extent.least + n];
      all = least != 0;
    }
    for (int l = 0; !all && l < kLanes; ++l)
      for (u32 n = 0; (mask >> l & 1) != 0 && n < bytes; ++n)
        if (state[at.address[l] + n] != 1)
          throw Fault{
              "uninitialized",
              absl::StrFormat("%s of %d bytes at %s 0x%x, of which byte %d was never written",
                              verb(kind), bytes, space, at.address[l], n),
              l};
  }
  if (kind == Access::Kind::Load)
    return;
  // A stretch without gaps is one fill.
  if (mask == kAllLanes && contiguous(at.address, bytes)) {
    std::memset(state + extent.least, 1, stretch);
    return;
  }
  for (int l = 0; l < kLanes; ++l)
    if ((mask >> l & 1) != 0)
      std::memset(state + at.address[l], 1, bytes);
}

} // namespace

void resolve_at(Warp &warp, const Instr &instr, Mask mask, Space space, u32 bytes,
                Access::Kind kind, bool aligned, Resolved &at) {
  const Extent extent = extent_of(at.address, mask);
  if (aligned && (extent.low_bits & (bytes - 1)) != 0)
    misaligned(at, mask, bytes, kind);
  switch (space) {
  case Space::Shared:
    bounded("shared", warp.block->shared.data(), warp.block->shared_state.data(),
            warp.launch->shared_bytes, mask, extent, bytes, kind, at);
    break;
  case Space::Local: {
    // Each lane has a memory of its own: lane by lane.
    const u64 size = warp.launch->local_bytes;
    for (int l = 0; l < kLanes; ++l) {
      if ((mask >> l & 1) == 0)
        continue;
      const u64 address = at.address[l];
      if (address >= size || size - address < bytes)
        throw Fault{"out of bounds",
                    absl::StrFormat("%s of %d bytes at local 0x%x, of which there are %d bytes",
                                    verb(kind), bytes, address, size),
                    l};
      const u64 place = static_cast<u64>(l) * size + address;
      at.host[l] = reinterpret_cast<u64>(warp.local) + place;
      if (kind == Access::Kind::Load) {
        for (u32 n = 0; n < bytes; ++n)
          if (warp.local_state[place + n] == 0)
            throw Fault{"uninitialized",
                        absl::StrFormat(
                            "read of %d bytes at local 0x%x, of which byte %d was never written",
                            bytes, address, n),
                        l};
      } else {
        std::memset(warp.local_state + place, 1, bytes);
      }
    }
    break;
  }
  case Space::Param: {
    const u64 size = warp.launch->parameters.size();
    for (int l = 0; l < kLanes; ++l) {
      if ((mask >> l & 1) == 0)
        continue;
      if (at.address[l] >= size || size - at.address[l] < bytes)
        throw Fault{"out of bounds",
                    absl::StrFormat("%s of %d bytes at byte %d of the parameters, which have %d",
                                    verb(kind), bytes, at.address[l], size),
                    l};
      if (kind != Access::Kind::Load)
        throw Fault{"read-only memory", "a write to the parameters", l};
      at.host[l] = reinterpret_cast<u64>(warp.launch->parameters.data()) + at.address[l];
    }
    return;
  }
  default: {
    Memory &memory = *warp.launch->memory;
    const u64 last = extent.most + bytes - 1;
    const bool plain = memory.reserved(extent.least, last) && last >= extent.most &&
                       (kind == Access::Kind::Load ? memory.plain(extent.least, last)
                                                   : memory.plain_store(extent.least, last));
    if (!plain)
      global_by_byte(warp, mask, bytes, kind, extent, at);
    const u64 shift = reinterpret_cast<u64>(memory.host(kDeviceBase)) - kDeviceBase;
    for (int l = 0; l < kLanes; ++l)
      at.host[l] = at.address[l] + shift;
    break;
  }
  }
  if (warp.launch->observer != nullptr) {
    Access access;
    access.kind = kind;
    access.space = space;
    access.bytes = bytes;
    access.mask = mask;
    access.address = at.address;
    access.order = instr.order;
    access.scope = instr.scope;
    access.read_only = instr.read_only;
    access.asynchronous = instr.asynchronous;
    access.line = instr.line;
    warp.launch->observer->access(warp, instr, access);
  }
}

void resolve(Warp &warp, const Instr &instr, Mask mask, u32 slot, u32 bytes, Access::Kind kind,
             Resolved &into) {
  const u64 offset = static_cast<u64>(instr.imm);
  if (instr.area_bytes != 0) {
    // A function's parameter, in the frame: lane after lane.
    if (offset > instr.area_bytes || bytes > instr.area_bytes - offset)
      throw Fault{"out of bounds", concat("byte ", offset, " of a parameter of ", instr.area_bytes),
                  std::countr_zero(mask)};
    for (u32 l = 0; l < kLanes; ++l)
      into.host[l] =
          reinterpret_cast<u64>(warp.frame) + instr.o[slot] + l * instr.area_bytes + offset;
    return;
  }
  if (instr.narrow) {
    const u32 *base = warp.reg<u32>(instr.o[slot]);
    for (int l = 0; l < kLanes; ++l)
      into.address[l] = base[l] + offset;
  } else {
    const u64 *base = warp.reg<u64>(instr.o[slot]);
    for (int l = 0; l < kLanes; ++l)
      into.address[l] = base[l] + offset;
  }
  if (instr.space != Space::Generic) {
    resolve_at(warp, instr, mask, instr.space, bytes, kind, true, into);
    return;
  }
  // Lanes may point into several spaces: each at a time.
  Mask rest = mask;
  while (rest != 0) {
    const u64 window = into.address[std::countr_zero(rest)] / kWindowBytes;
    const bool elsewhere = window >= 1 && window <= 3;
    const Space space = window == 1   ? Space::Shared
                        : window == 2 ? Space::Local
                        : window == 3 ? Space::Param
                                      : Space::Global;
    Mask same = 0;
    for (int l = 0; l < kLanes; ++l) {
      const u64 other = into.address[l] / kWindowBytes;
      same |= static_cast<Mask>(elsewhere ? other == window : other < 1 || other > 3) << l;
    }
    same &= rest;
    Resolved part;
    for (int l = 0; l < kLanes; ++l)
      part.address[l] = elsewhere ? into.address[l] - window * kWindowBytes : into.address[l];
    resolve_at(warp, instr, same, space, bytes, kind, true, part);
    if (same == mask) {
      into = part;
      return;
    }
    for (int l = 0; l < kLanes; ++l)
      if ((same >> l & 1) != 0)
        into.host[l] = part.host[l];
    rest &= ~same;
  }
}

QUERN_PTX_END

// From the addresses of a warp's access to where they lie on the host, with every check on the way.
#ifndef QUERN_TESTS_PTX_RESOLVE_H
#define QUERN_TESTS_PTX_RESOLVE_H

#include "tests/ptx/Lanes.h"
#include "tests/ptx/Memory.h"

QUERN_PTX_BEGIN

struct Resolved {
  u64 host[kLanes]; ///< only of lanes in the mask
  u64 address[kLanes];
};

/// Addresses of `bytes` each, of instr's space, in o[slot] plus its offset. Checks bounds,
/// alignment and, of what is read, that it was written; marks what is written; tells the observer.
/// Throws Fault.
void resolve(Warp &warp, const Instr &instr, Mask mask, u32 slot, u32 bytes, Access::Kind kind,
             Resolved &into);

/// The same for addresses that are not in a register, all of one space.
void resolve_at(Warp &warp, const Instr &instr, Mask mask, Space space, u32 bytes,
                Access::Kind kind, bool aligned, Resolved &into);

QUERN_PTX_END

#endif // QUERN_TESTS_PTX_RESOLVE_H

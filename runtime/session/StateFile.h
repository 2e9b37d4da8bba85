// A slot's state in a file: what --save-state writes and --load-state reads.
//
// A header (StateStream.h; magic "QUERNST\n", version 4, `count` of checkpoints), then the body:
// the tokens fed (int32), of every kv group the first page the slot holds (uint64; 0 where it keeps
// all positions), the positions of the two marks and of each checkpoint (uint64), the fixed state;
// of every kv group the pages that the slot holds, or a checkpoint to the page's end, by number;
// and of each checkpoint its fixed state and, where it ends inside a page, that page of each group
// with a window. It is tied to the model, weights and formats that wrote it (Artifact::identity):
// state means nothing to others. Any code, variant, device, thread count, context, step, number of
// slots and budget of checkpoints may read it. The loaded slot can do what the saved one could,
// with as many of its checkpoints as there is room for, and of a window as many pages as a slot
// keeps.
#ifndef QUERN_RUNTIME_SESSION_STATEFILE_H
#define QUERN_RUNTIME_SESSION_STATEFILE_H

#include "runtime/session/StatePool.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

namespace quern::session {

/// Errors: the file system's. Writes to a temporary name and renames.
absl::Status save_state(const StatePool &pool, SlotId slot, uint64_t identity,
                        const std::string &path);

/// A new slot of `pool` in the state that `path` holds. `vocab` bounds its tokens. On error the
/// pool is as before. Errors: NotFound; InvalidArgument (not a state, another model's); DataLoss
/// (damaged); OutOfRange (longer than the pool's context, with the numbers); ResourceExhausted (no
/// free slot).
absl::StatusOr<SlotId> load_state(StatePool &pool, uint64_t identity, uint32_t vocab,
                                  const std::string &path);

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_STATEFILE_H

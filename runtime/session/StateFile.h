// A slot's state in a file: what --save-state writes and --load-state reads.
//
// A 64-byte header {magic "QUERNST\n", version, identity of the artifact, positions, fixed state
// bytes, file size, checksum of the body, checksum of the header}, then the body: the tokens fed
// (int32), of every kv group the first page it holds (uint64; 0 where it keeps all positions), the
// fixed state, and of every kv group the pages from that one on. It is tied to the artifact that
// wrote it: state means nothing to other weights. Any variant, thread count, context and number of
// slots may read it, and the loaded slot can do what the saved one could.
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
/// pool is as before. Errors: NotFound; InvalidArgument (not a state, another artifact's); DataLoss
/// (damaged); OutOfRange (longer than the pool's context, with the numbers); ResourceExhausted (no
/// free slot).
absl::StatusOr<SlotId> load_state(StatePool &pool, uint64_t identity, uint32_t vocab,
                                  const std::string &path);

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_STATEFILE_H

// What a session takes: the one definition that `quern plan`, `inspect` and the running process
// share.
#ifndef QUERN_RUNTIME_SESSION_MEMORY_H
#define QUERN_RUNTIME_SESSION_MEMORY_H

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/device/Staging.h"

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <vector>

namespace quern::session {

/// Layers whose kv state keeps the same positions.
struct KvGroupSizes {
  uint64_t layers = 0;
  uint64_t window = 0;     ///< positions that a token of them sees; 0: all before it
  uint64_t page_bytes = 0; ///< QUERN_KV_PAGE positions of all of them
};

/// What a model needs, by part. Bytes.
struct ModelSizes {
  uint64_t weights = 0;    ///< the used bytes of the weights section
  uint64_t code = 0;       ///< the used bytes of the chosen variant's code section
  uint64_t arena = 0;      ///< the largest arena of all the target's buckets of all entries
  uint64_t slot_bytes = 0; ///< fixed-size state of one slot
  uint64_t max_tokens = 0; ///< tokens of the largest step
  uint64_t max_seqs = 0;   ///< and sequences
  std::vector<KvGroupSizes> kv_groups{};
  /// Of a target whose devices have memory of their own: what steps and their results take there.
  device::StagingSizes staging{};

  /// What a slot of `ctx` positions takes however long its sequence: its fixed-size state, and the
  /// pages of the kv groups that have a window.
  uint64_t state_per_slot(uint64_t ctx) const;
  /// What a position takes beyond that: kv bytes of the groups that keep them all.
  uint64_t state_per_token() const;
  /// What `count` checkpoints of one slot take beyond the slot itself: their fixed-size state, and
  /// the pages of groups with a window. 0: this model's state can go back anywhere without them.
  uint64_t checkpoint_bytes(uint64_t ctx, uint64_t count) const;
};

/// How many checkpoints a slot keeps, how far apart, and what those of all slots take.
struct CheckpointSizes {
  /// After an edit of a sequence at most spacing - 1 tokens before it are computed again. 1: none
  /// are, without checkpoints; 0: there are no checkpoints, and it may be all.
  uint64_t spacing = 0;
  uint64_t per_slot = 0;
  uint64_t bytes = 0;
};

/// The spacing is the least power of two from 256 on with which the checkpoints at its multiples,
/// and one more (where it fits two: what else they are is in Checkpoints.h), take no more than
/// `budget` bytes for all slots together. None where not even one does, or `budget` is 0.
CheckpointSizes checkpoint_sizes(const ModelSizes &sizes, uint64_t ctx, uint64_t slots,
                                 uint64_t budget);

/// InvalidArgument, with the least that would do, where a budget was given and is too small.
absl::Status check_checkpoints(const ModelSizes &sizes, uint64_t ctx, uint64_t slots,
                               uint64_t budget);

/// The same, for a number of slots and a context. Bytes.
struct MemoryUse {
  uint64_t weights = 0;
  uint64_t arena = 0;
  uint64_t state = 0; ///< slots * (state_per_slot + state_per_token * ctx in whole pages)
  uint64_t code = 0;
  uint64_t checkpoints = 0; ///< CheckpointSizes::bytes
  uint64_t staging = 0;     ///< 0 on the CPU
  uint64_t total = 0;
};

/// What the manifest says for a target: all but the weights' and the code's bytes.
ModelSizes model_sizes(const artifact::Manifest &manifest, std::string_view target);
/// Of a variant of the artifact.
ModelSizes model_sizes(const artifact::Artifact &artifact, std::string_view variant);

/// Saturates at 2^64 - 1 rather than wrap. `budget` is of checkpoints.
MemoryUse memory_use(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t budget = 0);

/// A context, at most `ctx`, whose total fits in `ceiling`: the longest, or with checkpoints, which
/// are fewer where they are farther apart, one near it; 0 if none does.
uint64_t context_that_fits(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling,
                           uint64_t budget = 0);

/// What is asked for cannot be done with less than this; 0: with anything.
struct Needed {
  uint64_t ctx = 0;
  uint64_t slots = 0;
};

/// Ok if `ctx` and `slots` fit in `ceiling` bytes. Otherwise ResourceExhausted with the numbers
/// and, where there is one, a context that would fit and is enough. `what` names the ceiling:
/// "--memory allows".
absl::Status check_fits(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling,
                        std::string_view what, const Needed &needed = {}, uint64_t budget = 0);

/// "5.1 GiB", "412 B".
std::string human_bytes(uint64_t bytes);

/// Bytes that this process may still take: the machine's available memory or the control group's
/// limit, whichever is less. 2^64 - 1 where neither can be read.
uint64_t available_memory();

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_MEMORY_H

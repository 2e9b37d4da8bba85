// What a session takes: the one definition that `quern plan`, `inspect` and the running process
// share.
#pragma once

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Artifact.h"

#include "absl/status/status.h"

#include <cstdint>
#include <string>

namespace quern::session {

// What a model needs, by part. Bytes.
struct ModelSizes {
  uint64_t weights = 0;    // the used bytes of the weights section
  uint64_t code = 0;       // the used bytes of the chosen variant's code section
  uint64_t arena = 0;      // the largest arena of all buckets of all entries
  uint64_t slot_bytes = 0; // fixed-size state of one slot
  uint64_t page_bytes = 0; // one kv page of every group: QUERN_KV_PAGE positions of one slot

  // kv bytes of one position.
  uint64_t state_per_token() const { return page_bytes / QUERN_KV_PAGE; }
};

// The same, for a number of slots and a context. Bytes.
struct MemoryUse {
  uint64_t weights = 0;
  uint64_t arena = 0;
  uint64_t state = 0; // slots * (slot_bytes + ceil(ctx / QUERN_KV_PAGE) * page_bytes)
  uint64_t code = 0;
  uint64_t total = 0;
};

ModelSizes model_sizes(const artifact::Artifact &artifact, std::string_view variant);

// Saturates at 2^64 - 1 rather than wrap.
MemoryUse memory_use(const ModelSizes &sizes, uint64_t ctx, uint64_t slots);

// The longest context, at most `ctx`, whose total fits in `ceiling`; 0 if none does.
uint64_t context_that_fits(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling);

// Ok if `ctx` and `slots` fit in `ceiling` bytes. Otherwise ResourceExhausted with the numbers and,
// where there is one, a context that would fit. `what` names the ceiling: "--memory allows".
absl::Status check_fits(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling,
                        std::string_view what);

// "5.1 GiB", "412 B".
std::string human_bytes(uint64_t bytes);

// Bytes that this process may still take: the machine's available memory or the control group's
// limit, whichever is less. 2^64 - 1 where neither can be read.
uint64_t available_memory();

} // namespace quern::session

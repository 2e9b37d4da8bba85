// Which pages of kv state a slot holds.
//
// Position p of a sequence lies in page p / QUERN_KV_PAGE. In a kv group of window w, the token at
// position p sees the positions from p - w + 1 on; w = 0 stands for all of them.
#ifndef QUERN_RUNTIME_SESSION_KVPAGES_H
#define QUERN_RUNTIME_SESSION_KVPAGES_H

#include "runtime/abi/StepArgs.h"

#include <algorithm>
#include <cstdint>

namespace quern::session {

/// Pages that hold the first `positions` positions.
inline uint64_t pages_for(uint64_t positions) {
  return positions / QUERN_KV_PAGE + (positions % QUERN_KV_PAGE != 0);
}

/// The first page that the token at `position`, or any after it, sees.
inline uint64_t first_page(uint64_t window, uint64_t position) {
  return window == 0 || position < window ? 0 : (position - window + 1) / QUERN_KV_PAGE;
}

/// Pages of one kv group that a slot never needs more of. Requires max_tokens < 2^32.
///
/// A step of t <= max_tokens tokens at position p reads and writes p - w + 1 to p + t - 1: at most
/// w + max_tokens - 1 positions, which lie in one page more than they fill where they begin at a
/// page's last position. So a slot may keep its latest pages_per_slot pages, always, and has what
/// the next step reads; and it needs no more than its context has.
inline uint64_t pages_per_slot(uint64_t window, uint64_t ctx, uint64_t max_tokens) {
  if (window == 0)
    return pages_for(ctx);
  return std::min(pages_for(ctx), 1 + pages_for(window + max_tokens - 2));
}

/// Pages of a window's group that a checkpoint at any position holds, for the token there to see:
/// window - 1 positions, which lie in one page more than they fill. Requires window > 0.
inline uint64_t pages_per_checkpoint(uint64_t window, uint64_t ctx) {
  return std::min(pages_for(ctx), 1 + pages_for(window - 1));
}

/// Pages of a window's group that a slot and its `count` checkpoints hold beyond pages_per_slot.
/// Requires window > 0.
///
/// Each holds pages_per_checkpoint at most. And of a page that a sequence has filled there is one,
/// which all who hold it share: so there are no more than the context has, and one for each
/// checkpoint that ends inside a page, of which there are two (Checkpoints.h).
inline uint64_t pages_of_checkpoints(uint64_t window, uint64_t ctx, uint64_t max_tokens,
                                     uint64_t count) {
  const uint64_t all = pages_for(ctx) - pages_per_slot(window, ctx, max_tokens);
  const uint64_t each = pages_per_checkpoint(window, ctx);
  const uint64_t most = all + std::min<uint64_t>(count, 2);
  return count != 0 && each > most / count ? most : count * each;
}

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_KVPAGES_H

// What a model takes in memory, as `plan` prints it before compiling and `inspect` after.
#ifndef QUERN_COMPILER_DRIVER_SIZES_H
#define QUERN_COMPILER_DRIVER_SIZES_H

#include "compiler/driver/EntrySizes.h"
#include "runtime/session/Memory.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace quern::driver {

struct Sizes {
  std::string target;
  session::ModelSizes model;
  uint64_t arena_bound = 0; ///< bytes alive at once in the bucket with the largest arena
  uint64_t ctx = 0;         ///< positions a slot can hold
  uint64_t slots = 1;
  uint64_t checkpoints = 0;             ///< the budget of checkpoints, in bytes
  std::vector<EntrySize> entry_sizes{}; ///< that callers of entries choose
  std::vector<LargeBuffer> largest{};   ///< of the arena, where these make it large
};

/// INTERFACE's object: target, weights, arena, arena_bound, state_per_slot, state_per_token, slots,
/// ctx, code, total; `checkpoints`, the bytes of all, and `checkpoint`, {bytes of one, a_slot,
/// spacing, recomputed: how many tokens before an edit are computed again at most, null where there
/// is no bound but the edit's position}; and `kv_groups`, each {layers, window, page_bytes,
/// pages_per_slot}. A slot's state is state_per_slot (of fixed size, and in the groups that have a
/// window) and state_per_token for each of `ctx` tokens, rounded up to a page of 64. Where callers
/// choose sizes, `sizes`, each {name, most, default, counted}, and `largest`, each {name, bytes}.
nlohmann::ordered_json to_json(const Sizes &sizes);

/// The first target's object; where there are several, with all of them as `targets`.
nlohmann::ordered_json to_json(std::span<const Sizes> targets);

/// The same, for people, on stdout. `code_note` follows the code's size.
void print_table(const Sizes &sizes, const char *code_note);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_SIZES_H

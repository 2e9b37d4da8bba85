// The sizes that an entry's caller chooses, and what their greatest values cost: for `plan`.
#ifndef QUERN_COMPILER_DRIVER_ENTRYSIZES_H
#define QUERN_COMPILER_DRIVER_ENTRYSIZES_H

#include "runtime/artifact/manifest_generated.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace quern::driver {

/// A size of an entry and the greatest that there is room for.
struct EntrySize {
  std::string name;
  uint64_t most = 0;
  bool is_default = false; ///< no --dim said it
  bool counted = false;    ///< the model counts it, its caller does not choose it
};

/// Those of all entries, each once. `given`: what --dim said.
std::vector<EntrySize> entry_sizes(const artifact::Manifest &manifest,
                                   const std::map<std::string, int64_t> &given);

/// A buffer of the arena, under the name of the node that fills it.
struct LargeBuffer {
  std::string name;
  uint64_t bytes = 0;
};

/// The largest buffers of the target's entries that have sizes, the largest first, at most `count`.
std::vector<LargeBuffer> largest_buffers(const artifact::Manifest &manifest,
                                         std::string_view target, size_t count);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_ENTRYSIZES_H

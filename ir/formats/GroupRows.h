// Rows cut into groups for the searches of GroupSearch.h: eight groups side by side.
#ifndef QUERN_IR_FORMATS_GROUPROWS_H
#define QUERN_IR_FORMATS_GROUPROWS_H

#include "ir/formats/GroupSearch.h"

#include <absl/status/status.h>

#include <algorithm>
#include <cstdint>

namespace quern::formats {

/// Lays the eight groups from element `first` on of a row of `n` side by side, and refuses elements
/// beyond `limit`, which no scale can reach, with a hint. A row's last group may be short: its own
/// elements are repeated to fill it, so that padding hardly weighs in the search. Groups beyond the
/// row are zeros.
absl::Status load_groups(const float *row, int64_t first, int64_t n, int group, float limit,
                         Octet *values);

/// How many groups there are from element `first` on, eight at most.
inline int groups_from(int64_t first, int64_t n, int group) {
  return static_cast<int>(std::min<int64_t>(kLanes, (n - first + group - 1) / group));
}

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_GROUPROWS_H

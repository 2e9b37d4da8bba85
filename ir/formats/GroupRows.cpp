#include "ir/formats/GroupRows.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::formats {
namespace {

/// What is wrong with an element of the row, which is refused for it.
absl::Status refusal(const float *row, int64_t n, int64_t index, float limit) {
  const float value = row[index];
  float largest = 0;
  for (int64_t i = 0; i < n; ++i)
    largest = std::isfinite(row[i]) ? std::max(largest, std::fabs(row[i])) : largest;
  if (!std::isfinite(value))
    return absl::InvalidArgumentError(absl::StrCat(
        "element ", index, " is ", value, ", which has no quantized value\nhint: --quant keep"));
  // bf16 ends before float32 does: of the row's elements the largest decides.
  return absl::OutOfRangeError(
      absl::StrCat("element ", index, " is ", value, ", beyond what an f16 scale can reach (",
                   limit, ")\nhint: --quant ", largest < 0x1.ffp127f ? "bf16" : "f32"));
}

} // namespace

absl::Status load_groups(const float *row, int64_t first, int64_t n, int group, float limit,
                         Octet *values) {
  for (int lane = 0; lane < kLanes; ++lane, first += group) {
    const int64_t used = std::clamp<int64_t>(n - first, 0, group);
    const float *from = row + first;
    bool held = true;
    for (int64_t i = 0; i < used; ++i) {
      values[i].of[lane] = from[i];
      held &= std::fabs(from[i]) <= limit; // false for a NaN
    }
    for (int64_t i = 0; i < used && !held; ++i)
      if (!(std::fabs(from[i]) <= limit))
        return refusal(row, n, first + i, limit);
    for (int64_t i = used; i < group; ++i)
      values[i].of[lane] = used == 0 ? 0 : values[i % used].of[lane];
  }
  return absl::OkStatus();
}

} // namespace quern::formats

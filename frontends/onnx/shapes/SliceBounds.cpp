#include "frontends/onnx/shapes/SliceBounds.h"

#include <cstdint>

namespace quern::onnx {

using symbols::Dim;

Dim slice_bound(const Dim &at, const Dim &size, const Dim &low, const Dim &high) {
  // What exporters write for "to the end".
  constexpr int64_t kBeyond = INT32_MAX;
  if (const auto constant = at.constant()) {
    if (*constant >= kBeyond)
      return high;
    if (*constant <= -kBeyond)
      return low;
  }
  const Dim from_front = symbols::choose(symbols::less(at, 0), at + size, at);
  return symbols::max(symbols::min(from_front, high), low);
}

} // namespace quern::onnx

#include "runtime/device/cuda/StepBlock.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace quern::device::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// As kernels make it (CudaStep.h).
uint64_t pack(float value, uint32_t column) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t{order} << 32 | (0xffffffffu - column);
}

// Tests that what was packed is read again, and that numbers grow with values and, among equals,
// with lower columns.
TEST(Argmax, PackedAndRead) {
  const float values[] = {-kInfinity, -3e38f, -1.5f, -1e-40f, 0, 1e-40f, 2.5f, 3e38f, kInfinity};
  for (size_t i = 0; i < std::size(values); ++i) {
    const QuernArgmax read = read_argmax(pack(values[i], 31999));
    EXPECT_EQ(read.value, values[i]);
    EXPECT_EQ(read.column, i == 0 ? -1 : 31999); // minus infinity is nobody's choice
    EXPECT_LT(pack(values[i], 8), pack(values[i], 7));
    if (i != 0)
      EXPECT_LT(pack(values[i - 1], 0), pack(values[i], 31999));
  }
}

TEST(Argmax, NothingWasLeft) {
  EXPECT_EQ(read_argmax(0).column, -1);
  EXPECT_EQ(read_argmax(0).value, -kInfinity);
  EXPECT_EQ(read_argmax(pack(NAN, 5)).column, -1);
}

} // namespace
} // namespace quern::device::cuda

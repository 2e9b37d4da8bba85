// Tests that synthetic weights are the numbers their definition says, wherever one starts, with the
// statistics promised.
#include "ir/weights/SyntheticWeights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace quern::weights {
namespace {

TEST(SyntheticWeights, AgreeWithThePythonDefinition) {
  // Printed by synthetic_weights.py.
  EXPECT_EQ(synthetic_key(7, "blk.0.attn_q.weight"), 0xefb66ce3b2ee6e7au);
  const float expected[] = {0x1.16e7340000000p-3f, 0x1.faa8180000000p-4f, 0x1.a1f0560000000p-4f,
                            0x1.4a0cdc0000000p-4f, 0x1.27c4dc0000000p-3f, 0x1.0cf8d40000000p-3f,
                            0x1.1789e00000000p-3f, 0x1.f700820000000p-4f};
  float values[8];
  generate({7, "blk.0.attn_q.weight", 0.02f, 0.125f}, 1000, 8, values);
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(values[i], expected[i]) << i;
}

TEST(SyntheticWeights, AreTheSameWhereverOneStarts) {
  const Synthetic weight{3, "w", 1, 0};
  std::vector<float> all(1000), part(10);
  generate(weight, 0, 1000, all.data());
  generate(weight, 500, 10, part.data());
  for (size_t i = 0; i < 10; ++i)
    EXPECT_EQ(part[i], all[500 + i]);
  generate({4, "w", 1, 0}, 0, 10, part.data());
  EXPECT_NE(part[0], all[0]);
  generate({3, "v", 1, 0}, 0, 10, part.data());
  EXPECT_NE(part[0], all[0]);
}

TEST(SyntheticWeights, AreRoughlyNormal) {
  constexpr int kCount = 1 << 18;
  std::vector<float> values(kCount);
  generate({1, "w", 0.5f, 2}, 0, kCount, values.data());
  double mean = 0, variance = 0, fourth = 0;
  for (const float value : values)
    mean += value / double{kCount};
  for (const float value : values) {
    const double square = (value - mean) * (value - mean);
    variance += square / kCount;
    fourth += square * square / kCount;
  }
  EXPECT_NEAR(mean, 2, 0.005);
  EXPECT_NEAR(std::sqrt(variance), 0.5, 0.005);
  EXPECT_NEAR(fourth / (variance * variance), 2.7, 0.05); // four uniforms: 3 - 1.2/4
  generate({1, "w", 0, 1}, 0, 4, values.data());
  EXPECT_EQ(values[3], 1);
}

} // namespace
} // namespace quern::weights

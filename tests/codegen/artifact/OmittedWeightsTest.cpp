#include "codegen/artifact/OmittedWeights.h"

#include "ir/formats/Packing.h"
#include "runtime/artifact/MadeWeights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace quern::artifact {
namespace {

struct Statistics {
  double mean = 0, deviation = 0;
  bool finite = true;
};

// Of the weight's numbers as kernels decode them, padding left out.
Statistics made_as(const formats::Packing &packing, int64_t channels, int64_t inputs, float mean,
                   float spread) {
  const auto bytes = static_cast<uint64_t>(packing.bytes(channels, inputs));
  const MadeWeight weight = made_panels(packing, inputs, 64, bytes, 12345, mean, spread);
  std::vector<uint8_t> memory(bytes);
  make_weights(std::span(&weight, 1), {}, {}, 64, memory);
  std::vector<float> numbers(static_cast<size_t>(channels * inputs));
  formats::rows_from_packed(packing, reinterpret_cast<const std::byte *>(memory.data()), 0,
                            channels, inputs, numbers.data());
  Statistics found;
  for (const float number : numbers) {
    found.mean += number;
    found.finite &= std::isfinite(number);
  }
  found.mean /= static_cast<double>(numbers.size());
  for (const float number : numbers)
    found.deviation += (number - found.mean) * (number - found.mean);
  found.deviation = std::sqrt(found.deviation / static_cast<double>(numbers.size()));
  return found;
}

// Tests that weights made in each packing have about the mean and the spread that were asked for.
TEST(OmittedWeights, LookLikeTheModels) {
  std::vector<formats::Packing> packings = {{.kind = formats::Packing::F32},
                                            {.kind = formats::Packing::F16},
                                            {.kind = formats::Packing::BF16}};
  packings.insert(packings.end(), formats::quant_packings().begin(),
                  formats::quant_packings().end());
  for (const formats::Packing &packing : packings) {
    for (const int64_t inputs : {320, 512}) {
      SCOPED_TRACE(formats::packing_name(packing) + " " + std::to_string(inputs));
      const Statistics around_zero = made_as(packing, 48, inputs, 0, 0.02f);
      EXPECT_TRUE(around_zero.finite);
      EXPECT_NEAR(around_zero.mean, 0, 0.005); // half a step of three bits
      EXPECT_GT(around_zero.deviation, 0.013);
      EXPECT_LT(around_zero.deviation, 0.030);
    }
  }
  const Statistics norm = made_as({}, 16, 512, 1, 0.1f);
  EXPECT_NEAR(norm.mean, 1, 0.1);
  EXPECT_GT(norm.deviation, 0.01);
  EXPECT_EQ(made_as({}, 16, 512, 1, 0).deviation, 0);
}

// Tests that numbers differ from place to place, and from weight to weight.
TEST(OmittedWeights, AreNotAllAlike) {
  const auto packing = *formats::parse_packing("q4.g32.z0.min.u8.row");
  const auto bytes = static_cast<uint64_t>(packing.bytes(64, 512));
  std::vector<uint8_t> first(bytes), second(bytes);
  for (auto [key, memory] : {std::pair(1, &first), std::pair(2, &second)}) {
    const MadeWeight weight =
        made_panels(packing, 512, 0, bytes, static_cast<uint64_t>(key), 0, 0.02f);
    make_weights(std::span(&weight, 1), {}, {}, 0, *memory);
  }
  EXPECT_NE(first, second);
  const size_t panel = bytes / 4;
  EXPECT_FALSE(std::equal(first.begin(), first.begin() + static_cast<int64_t>(panel),
                          first.begin() + static_cast<int64_t>(panel)));
}

} // namespace
} // namespace quern::artifact

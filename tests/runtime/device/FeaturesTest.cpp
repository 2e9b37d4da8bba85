#include "runtime/device/cpu/Features.h"
#include "runtime/abi/Variants.h"
#include "runtime/device/cpu/Cores.h"

#include <gtest/gtest.h>

namespace quern::device {
namespace {

// Tests that a feature that nobody knows is missing, by name, and one that all x86-64 has is not.
TEST(Features, NamesWhatIsMissing) {
  const std::string_view wanted[] = {"sse3", "warp-drive", "time-travel"};
  EXPECT_EQ(missing_features(wanted), "warp-drive, time-travel");
  EXPECT_EQ(missing_features(std::span(wanted).first(1)), "");
}

TEST(Features, KnownVariantsNeedKnownFeatures) {
  for (const CpuVariant &variant : kCpuVariants)
    for (std::string_view name : variant.features) {
      bool known = false;
      for (const Feature &feature : cpu_features())
        known |= feature.name == name;
      EXPECT_TRUE(known) << variant.name << " needs " << name;
    }
}

TEST(Cores, AreNoMoreThanCpus) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), usable_cpus());
}

} // namespace
} // namespace quern::device

#include "runtime/device/cpu/Features.h"

#include "runtime/abi/Variants.h"
#include "runtime/device/cpu/Cores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <sys/syscall.h>
#include <unistd.h>

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

// Tests that tiles count as present exactly where the system has given this process leave to use
// them: without it the first of their instructions would end it.
TEST(Features, TilesNeedTheSystemsPermission) {
  const bool present = missing_features(std::array<std::string_view, 1>{"amx-tile"}).empty();
  constexpr int kGetPermission = 0x1022; // ARCH_GET_XCOMP_PERM
  uint64_t granted = 0;
  const bool may = syscall(SYS_arch_prctl, kGetPermission, &granted) == 0 && (granted >> 18 & 1);
  EXPECT_EQ(present, may);
  for (std::string_view name : {"amx-int8", "amx-bf16"})
    EXPECT_TRUE(present || !missing_features(std::span(&name, 1)).empty()) << name;
}

// Tests that a variant that another one ranks above needs no more than that one.
TEST(Features, BetterVariantsNeedMore) {
  const auto needs = [](std::string_view variant) {
    for (const CpuVariant &known : kCpuVariants)
      if (known.name == variant)
        return std::set<std::string_view>(known.features.begin(), known.features.end());
    return std::set<std::string_view>();
  };
  const auto amx = needs("amx"), v4 = needs("x86-64-v4");
  EXPECT_TRUE(std::includes(amx.begin(), amx.end(), v4.begin(), v4.end()));
  EXPECT_EQ(amx.size(), v4.size() + 3); // tiles, their integers, their bfloat16
  EXPECT_EQ(kCpuVariants.front().name, "amx");
}

TEST(Cores, AreNoMoreThanCpus) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), usable_cpus());
}

} // namespace
} // namespace quern::device

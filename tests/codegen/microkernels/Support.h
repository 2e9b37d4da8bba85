// What the microkernels' tests share: the native builds to try, random data, and bitwise
// comparison.
#ifndef QUERN_TESTS_CODEGEN_MICROKERNELS_SUPPORT_H
#define QUERN_TESTS_CODEGEN_MICROKERNELS_SUPPORT_H

#include "codegen/cpu/microkernels/Native.h"
#include "tests/support/Variants.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace quern::native {

/// Why tests do not try a build on this machine; empty if they do.
inline std::string why_not_tried(const Build &build) {
  return test::whyNotRun(build.name.ends_with("-emulated") ? "x86-64-v3" : build.name);
}

/// The builds to try on this machine. v3 and the emulated builds are among them on every machine
/// that Quern supports.
inline std::vector<Build> usable_builds() {
  std::vector<Build> usable;
  for (const Build &build : builds())
    if (build.usable && why_not_tried(build).empty())
      usable.push_back(build);
  return usable;
}

/// A fixed sequence of random numbers, the same on every machine (the standard's distributions are
/// not).
class Random {
public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t bits() { return static_cast<uint32_t>(engine_()); }
  /// In [0, n).
  int below(int n) { return static_cast<int>(bits() % static_cast<uint32_t>(n)); }
  /// In [-1, 1).
  float unit() { return static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-31f; }
  std::vector<float> units(size_t n, float scale = 1.0f) {
    std::vector<float> values(n);
    for (float &value : values)
      value = unit() * scale;
    return values;
  }

private:
  std::mt19937 engine_;
};

/// Bytes as what kernels take them for: QkPanel, QkQ8Row, QkKeys, QkValues.
template <class T> const T *as(const void *bytes) { return static_cast<const T *>(bytes); }
template <class T> T *as(void *bytes) { return static_cast<T *>(bytes); }

/// Expects the same bits; NaN equals NaN.
inline void expect_same_bits(std::span<const float> got, std::span<const float> want,
                             const std::string &what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    if (!(got[i] != got[i] && want[i] != want[i]))
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
          << what << " at " << i << ": " << got[i] << " instead of " << want[i];
}

} // namespace quern::native

#endif // QUERN_TESTS_CODEGEN_MICROKERNELS_SUPPORT_H

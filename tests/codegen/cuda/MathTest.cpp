// Tests that the device's elementary functions, compiled for the host, give the bits of the CPU's,
// and that its sine and cosine, which are computed otherwise, stay within their error.
#include "tests/codegen/cuda/HostMath.h"
#include "tests/codegen/microkernels/Support.h"

#include <limits>

namespace quern {
namespace {

using native::Kernels;

struct Same {
  const char *name;
  float (*device)(float);
  float (*Kernels::*host)(float);
};

const Same kSame[] = {
#define QUERN_CASE(X, NAME, ...) {#NAME, &NAME, &Kernels::qk_##NAME},
    QK_FOR_EACH_UNARY_FUNCTION(QUERN_CASE, )
#undef QUERN_CASE
        {"log", &log, &Kernels::qk_log},
    {"log1p", &log1p, &Kernels::qk_log1p},
    {"erf", &erf, &Kernels::qk_erf},
    {"round_bf16", &round_bf16, &Kernels::qk_round_bf16},
    {"sqrt", &sqrt, &Kernels::qk_sqrt},
    {"rsqrt", &rsqrt, &Kernels::qk_rsqrt},
};

/// Floats of all magnitudes and signs, and evenly spaced ones around 0.
std::vector<float> samples() {
  std::vector<float> values = {0.0f,  -0.0f, INFINITY, -INFINITY, NAN,    1.0f,
                               -1.0f, 20.0f, 88.72f,   89.0f,     -87.3f, -103.9f};
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 49999)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (int i = -60000; i <= 60000; ++i)
    values.push_back(static_cast<float>(i) * 0.001953f);
  return values;
}

TEST(DeviceMath, GivesTheBitsOfTheCpu) {
  const native::Build build = native::usable_builds().front();
  const auto all = samples();
  for (const Same &same : kSame) {
    // Sine and cosine are computed otherwise: the next test has their errors.
    if (same.host == &Kernels::qk_sin || same.host == &Kernels::qk_cos)
      continue;
    std::vector<float> got, want;
    for (const float x : all) {
      got.push_back(same.device(x));
      want.push_back((build.kernels->*same.host)(x));
    }
    native::expect_same_bits(got, want, same.name);
  }
}

/// The largest error of sine and cosine at x, in units of the last place.
double error_at(float x) {
  double worst = 0;
  for (const bool cosine : {false, true}) {
    const double exact =
        cosine ? std::cos(static_cast<double>(x)) : std::sin(static_cast<double>(x));
    const float got = cosine ? cos(x) : sin(x), rounded = static_cast<float>(exact);
    const float size = std::max(std::abs(rounded), std::numeric_limits<float>::min());
    worst = std::max(worst, std::abs(got - exact) / std::ldexp(1.0, std::ilogb(size) - 23));
  }
  return worst;
}

TEST(DeviceMath, SineAndCosineAreAsAccurateAsTheyAreSaidToBe) {
  constexpr double kBound = 0.89;
  double worst = 0;
  float where = 0;
  const auto note = [&](float x) {
    if (const double error = error_at(x); error > worst) {
      worst = error;
      where = x;
    }
  };
  for (const float x : samples())
    if (std::abs(x) <= 1e7f)
      note(x);
  // The angles of rotations: positions times frequencies.
  for (const float base : {1e4f, 5e5f, 1e6f})
    for (int i = 0; i < 64; ++i) {
      const float frequency = std::pow(base, static_cast<float>(-i) / 64);
      for (int position = 0; position <= 1 << 20; position += 1 + position / 97)
        note(static_cast<float>(position) * frequency);
    }
  // What lies next to multiples of pi/2, where nearly all of x is taken off.
  for (int n = 1; n < 6366197; n += 1 + n / 5000) {
    const auto x = static_cast<float>(n * 1.5707963267948966);
    for (const float near : {std::nextafter(x, 0.0f), x, std::nextafter(x, 1e8f)})
      note(near);
  }
  EXPECT_LE(worst, kBound) << where;
  RecordProperty("ulp", std::to_string(worst));
}

TEST(DeviceMath, HitsTheExactPoints) {
  EXPECT_EQ(exp(0.0f), 1.0f);
  EXPECT_EQ(exp(-INFINITY), 0.0f);
  EXPECT_EQ(exp(1e30f), INFINITY);
  EXPECT_EQ(log(0.0f), -INFINITY);
  EXPECT_EQ(sin(0.0f), 0.0f);
  EXPECT_EQ(cos(0.0f), 1.0f);
  EXPECT_EQ(math::exponential_below(0.0f), 1.0f);
  EXPECT_EQ(math::exponential_below(-INFINITY), 0.0f);
  for (const float x : {INFINITY, -INFINITY, NAN}) {
    EXPECT_TRUE(std::isnan(sin(x)));
    EXPECT_TRUE(std::isnan(cos(x)));
  }
  for (const float x : {1.1e7f, 1e12f, 3e38f, -1e20f}) {
    EXPECT_LE(std::abs(sin(x)), 1);
    EXPECT_LE(std::abs(cos(x)), 1);
  }
}

} // namespace
} // namespace quern

// Tests the functions of double against long double libm, to the errors that Microkernels.h states,
// and that every build gives the same bits.
#include "tests/codegen/microkernels/Support.h"

#include <cmath>
#include <limits>

namespace quern::native {
namespace {

using Function = double (*)(double);
constexpr double kInf = INFINITY;

/// Distance in units of the last place of the exact result as a double.
double ulps(double got, long double exact) {
  const auto rounded = static_cast<double>(exact);
  if (std::isnan(got) || std::isnan(rounded))
    return std::isnan(got) && std::isnan(rounded) ? 0 : 1e30;
  if (std::isinf(got) || std::isinf(rounded))
    return got == rounded ? 0 : 1e30;
  const double size = std::max(std::abs(rounded), std::numeric_limits<double>::min());
  return static_cast<double>(std::abs(got - exact) / std::ldexp(1.0L, std::ilogb(size) - 52));
}

uint64_t next(Random &random) { return static_cast<uint64_t>(random.bits()) << 32 | random.bits(); }
/// In [-1, 1).
double unit(Random &random) {
  return static_cast<double>(static_cast<int64_t>(next(random))) * 0x1p-63;
}

std::vector<double> samples() {
  std::vector<double> values = {0.0,  -0.0, kInf, -kInf, NAN,   1.0,
                                -1.0, 0.5,  2.0,  709.7, 710.0, -745.0};
  Random random(3);
  for (int i = 0; i < 4000; ++i) {
    values.push_back(std::bit_cast<double>(next(random)));
    for (double size : {1.1, 30.0, 1000.0})
      values.push_back(unit(random) * size);
  }
  return values;
}

struct FunctionCase {
  const char *name;
  Function Kernels::*function;
  long double (*exact)(long double);
  double bound;
  double largest = kInf; ///< |x| up to which the bound is promised
};

const FunctionCase kFunctions[] = {
    {"exp", &Kernels::qk_exp_f64, std::exp, 1.5},
    {"exp2", &Kernels::qk_exp2_f64, std::exp2, 1.5},
    {"expm1", &Kernels::qk_expm1_f64, std::expm1, 2},
    {"log", &Kernels::qk_log_f64, std::log, 1},
    {"log2", &Kernels::qk_log2_f64, std::log2, 2},
    {"log10", &Kernels::qk_log10_f64, std::log10, 2},
    {"log1p", &Kernels::qk_log1p_f64, std::log1p, 2},
    {"sin", &Kernels::qk_sin_f64, std::sin, 1, 0x1p50},
    {"cos", &Kernels::qk_cos_f64, std::cos, 1, 0x1p50},
    {"tan", &Kernels::qk_tan_f64, std::tan, 3, 0x1p50},
    {"asin", &Kernels::qk_asin_f64, std::asin, 3},
    {"acos", &Kernels::qk_acos_f64, std::acos, 3},
    {"atan", &Kernels::qk_atan_f64, std::atan, 2},
    {"sinh", &Kernels::qk_sinh_f64, std::sinh, 3},
    {"cosh", &Kernels::qk_cosh_f64, std::cosh, 3},
    {"tanh", &Kernels::qk_tanh_f64, std::tanh, 3},
    {"asinh", &Kernels::qk_asinh_f64, std::asinh, 3},
    {"acosh", &Kernels::qk_acosh_f64, std::acosh, 3},
    {"atanh", &Kernels::qk_atanh_f64, std::atanh, 3},
    {"erf", &Kernels::qk_erf_f64, std::erf, 2},
    {"erfc", &Kernels::qk_erfc_f64, std::erfc, 6, 26.0},
    {"cbrt", &Kernels::qk_cbrt_f64, std::cbrt, 2},
    {"rsqrt", &Kernels::qk_rsqrt_f64, [](long double x) { return 1 / std::sqrt(x); }, 1.5},
};

TEST(DoubleMath, StaysWithinTheStatedErrorsAndIsTheSameInEveryBuild) {
  const auto builds = usable_builds();
  const auto all = samples();
  for (const FunctionCase &c : kFunctions) {
    double worst = 0, where = 0;
    for (const double x : all) {
      const double got = (builds.front().kernels->*c.function)(x);
      for (const Build &build : builds) {
        const double other = (build.kernels->*c.function)(x);
        ASSERT_TRUE(std::bit_cast<uint64_t>(other) == std::bit_cast<uint64_t>(got) ||
                    (std::isnan(other) && std::isnan(got)))
            << c.name << "(" << x << ") in " << build.name;
      }
      if (std::isfinite(x) && (std::abs(x) > c.largest || (x != 0 && std::abs(x) < 1e-300)))
        continue;
      if (double error = ulps(got, c.exact(x)); error > worst) {
        worst = error;
        where = x;
      }
    }
    EXPECT_LE(worst, c.bound) << c.name << "(" << where << ")";
  }
}

TEST(DoubleMath, TakesTwoArguments) {
  const Kernels &k = *usable_builds().front().kernels;
  const double special[] = {0.0,  -0.0, 1,     -1,  2,     -2, 3,     0.5,
                            -0.5, kInf, -kInf, NAN, 1e300, -3, 1e-300};
  for (double x : special)
    for (double y : special) {
      EXPECT_LE(ulps(k.qk_pow_f64(x, y),
                     std::pow(static_cast<long double>(x), static_cast<long double>(y))),
                1)
          << x << " " << y;
      EXPECT_LE(ulps(k.qk_atan2_f64(x, y),
                     std::atan2(static_cast<long double>(x), static_cast<long double>(y))),
                1)
          << x << " " << y;
      const double want = std::fmod(x, y), got = k.qk_fmod_f64(x, y);
      EXPECT_TRUE(got == want || (std::isnan(got) && std::isnan(want))) << x << " " << y;
    }
  Random random(5);
  for (int i = 0; i < 20000; ++i) {
    const double x = std::exp(10 * unit(random)), y = 4 * unit(random);
    ASSERT_LE(ulps(k.qk_pow_f64(x, y),
                   std::pow(static_cast<long double>(x), static_cast<long double>(y))),
              2)
        << x << " " << y;
    ASSERT_LE(ulps(k.qk_atan2_f64(y, x),
                   std::atan2(static_cast<long double>(y), static_cast<long double>(x))),
              3);
    ASSERT_EQ(k.qk_fmod_f64(1e6 * y, x), std::fmod(1e6 * y, x));
  }
}

TEST(DoubleMath, RoundsToOddAndToBFloat16) {
  const Kernels &k = *usable_builds().front().kernels;
  EXPECT_EQ(k.qk_round_to_odd(1.5), 1.5f);
  EXPECT_EQ(k.qk_round_to_odd(1 + 0x1p-40), 1 + 0x1p-23f);
  EXPECT_EQ(k.qk_round_to_odd(-1 - 0x1p-40), -1 - 0x1p-23f);
  EXPECT_EQ(k.qk_round_to_odd(2 - 0x1p-40), 2 - 0x1p-23f);
  EXPECT_EQ(k.qk_round_to_odd(1e300), std::numeric_limits<float>::max());
  EXPECT_EQ(k.qk_round_to_odd(kInf), INFINITY);
  EXPECT_EQ(k.qk_round_to_odd(0x1p-200), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(k.qk_round_bf16_quiet(1 + 0x1p-8f), 1.0f); // a tie
  EXPECT_EQ(k.qk_round_bf16_quiet(1 + 0x1.8p-7f), 1 + 0x1p-6f);
  const auto nan = k.qk_round_bf16_quiet(std::bit_cast<float>(0x7f800001u));
  EXPECT_EQ(std::bit_cast<uint32_t>(nan) >> 16, 0x7fc0u);
}

} // namespace
} // namespace quern::native

// Tests the scalar functions against double libm, over floats of every size, to the errors that
// Microkernels.h states, and that every build gives the same bits.
#include "tests/codegen/microkernels/Support.h"

#include <cmath>
#include <limits>

namespace quern::native {
namespace {

using Function = float (*)(float);
constexpr float kInf = INFINITY;

/// Distance in units of the last place of the exact result as a float.
double ulps(float got, double exact) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(got) || std::isnan(rounded))
    return std::isnan(got) && std::isnan(rounded) ? 0 : 1e30;
  if (std::isinf(got) || std::isinf(rounded))
    return got == rounded ? 0 : 1e30;
  const float size = std::max(std::abs(rounded), std::numeric_limits<float>::min());
  const double unit = std::ldexp(1.0, std::ilogb(size) - 23);
  return std::abs(got - exact) / unit;
}

/// Floats of all magnitudes and signs (a step of bits that is prime), and evenly spaced ones around
/// 0.
std::vector<float> samples() {
  std::vector<float> values = {0.0f,  -0.0f, kInf,   -kInf, NAN,    1.0f,
                               -1.0f, 20.0f, 88.72f, 89.0f, -87.3f, -103.9f};
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 19997)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (int i = -60000; i <= 60000; ++i)
    values.push_back(static_cast<float>(i) * 0.001953f);
  return values;
}

struct FunctionCase {
  const char *name;
  Function Kernels::*function;
  double (*exact)(double);
  double bound;             // ulp
  bool of_argument = false; // the error is relative to the argument, not to the result
  float largest = kInf;     // |x| up to which the bound is promised
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
/// To the 8 bits that a bfloat16 has, fewer below the normal numbers.
double round_to_bf16(double x) {
  if (x == 0 || !std::isfinite(x))
    return x;
  const int last = std::max(std::ilogb(x), -126) - 7;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -last)), last);
  return std::abs(rounded) >= 0x1p128 ? std::copysign(INFINITY, x) : rounded;
}
double gelu_tanh(double x) {
  // 0.5 x (1 + tanh(u)) without cancellation
  return std::isinf(x) ? (x > 0 ? x : NAN)
                       : x * sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
}

double mish(double x) {
  return x * std::tanh(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))));
}

const FunctionCase kFunctions[] = {
    {"exp", &Kernels::qk_exp, [](double x) { return std::exp(x); }, 1},
    {"log", &Kernels::qk_log, [](double x) { return std::log(x); }, 1},
    {"log1p", &Kernels::qk_log1p, [](double x) { return std::log1p(x); }, 2},
    {"sigmoid", &Kernels::qk_sigmoid, sigmoid, 2.5},
    {"silu", &Kernels::qk_silu, [](double x) { return x * sigmoid(x); }, 3},
    {"tanh", &Kernels::qk_tanh, [](double x) { return std::tanh(x); }, 2},
    {"erf", &Kernels::qk_erf, [](double x) { return std::erf(x); }, 2},
    {"gelu_tanh", &Kernels::qk_gelu_tanh, gelu_tanh, 3, true},
    {"gelu_erf", &Kernels::qk_gelu_erf,
     [](double x) { return x * std::erfc(-x / std::sqrt(2.0)) / 2; }, 2, true},
    {"softplus", &Kernels::qk_softplus,
     [](double x) { return x > 20 ? x : std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); },
     2},
    {"relu", &Kernels::qk_relu, [](double x) { return x < 0 ? 0 : x; }, 0},
    {"relu2", &Kernels::qk_relu2, [](double x) { return x < 0 ? 0 : x * x; }, 0.5},
    {"quick_gelu", &Kernels::qk_quick_gelu, [](double x) { return x * sigmoid(1.702 * x); }, 3,
     true},
    {"mish", &Kernels::qk_mish, mish, 1.5, true},
    {"relu6", &Kernels::qk_relu6, [](double x) { return x < 0   ? 0
                                                        : x > 6 ? 6
                                                                : x; }, 0},
    {"leaky_relu", &Kernels::qk_leaky_relu, [](double x) { return x < 0 ? 0.01 * x : x; }, 1},
    {"hardswish", &Kernels::qk_hardswish,
     [](double x) {
       return x * (x + 3 < 0 ? 0 : x + 3 > 6 ? 6 : x + 3) / 6;
     },
     1.5, true},
    {"gelu_10", &Kernels::qk_gelu_10,
     [](double x) {
       const double gelu = x * std::erfc(-x / std::sqrt(2.0)) / 2;
       return gelu > 10 ? 10 : gelu;
     },
     2, true},
    {"abs", &Kernels::qk_abs, [](double x) { return std::abs(x); }, 0},
    {"log_sigmoid", &Kernels::qk_log_sigmoid,
     [](double x) { return x < -20 ? x : std::min(x, 0.0) - std::log1p(std::exp(-std::abs(x))); },
     2},
    {"one_minus_square_root", &Kernels::qk_one_minus_square_root,
     [](double x) { return x > 0 ? 0 : std::sqrt(-std::expm1(2 * x)); }, 2.5},
    {"round_bf16", &Kernels::qk_round_bf16, round_to_bf16, 0},
    {"sqrt", &Kernels::qk_sqrt, [](double x) { return std::sqrt(x); }, 0.5},
    {"rsqrt", &Kernels::qk_rsqrt, [](double x) { return 1 / std::sqrt(x); }, 1.5},
    {"sin", &Kernels::qk_sin, [](double x) { return std::sin(x); }, 1, false, 1e7f},
    {"cos", &Kernels::qk_cos, [](double x) { return std::cos(x); }, 1, false, 1e7f},
};

TEST(Math, StaysWithinTheStatedErrors) {
  const auto builds = usable_builds();
  const auto all = samples();
  for (const FunctionCase &c : kFunctions) {
    const Function function = builds.front().kernels->*c.function;
    double worst = 0;
    float where = 0;
    for (const float x : all) {
      const float got = function(x);
      if (!(std::abs(x) <= c.largest) && !std::isnan(x) && !std::isinf(x)) {
        ASSERT_LE(std::abs(got), 1) << c.name << "(" << x << ")";
        continue;
      }
      const double exact = c.exact(x);
      double error = ulps(got, exact);
      if (c.function == &Kernels::qk_silu && x < -87.0f && got <= 0) // 0 is what counts there
        error = std::abs(got - exact) < 0x1p-126 ? 0 : error;
      if (c.of_argument && std::isfinite(x))
        error =
            std::abs(got - exact) / std::max(std::abs(static_cast<double>(x)) * 0x1p-23, 0x1p-149);
      if (error > worst) {
        worst = error;
        where = x;
      }
    }
    EXPECT_LE(worst, c.bound) << c.name << "(" << where << ") = " << function(where) << ", exactly "
                              << c.exact(where);
    RecordProperty(std::string("ulp_") + c.name, std::to_string(worst));
  }
}

TEST(Math, IsTheSameInEveryBuild) {
  const auto builds = usable_builds();
  const auto all = samples();
  for (const FunctionCase &c : kFunctions)
    for (const Build &build : builds) {
      std::vector<float> want, got;
      for (const float x : all) {
        want.push_back((builds.front().kernels->*c.function)(x));
        got.push_back((build.kernels->*c.function)(x));
      }
      expect_same_bits(got, want, std::string(c.name) + " " + std::string(build.name));
    }
}

TEST(Math, HitsTheExactPoints) {
  for (const Build &build : usable_builds()) {
    const Kernels &k = *build.kernels;
    EXPECT_EQ(k.qk_exp(0.0f), 1.0f);
    EXPECT_EQ(k.qk_exp(-0.0f), 1.0f);
    EXPECT_EQ(k.qk_exp(-kInf), 0.0f);
    EXPECT_EQ(k.qk_exp(-1e30f), 0.0f);
    EXPECT_EQ(k.qk_exp(-104.0f), 0.0f);
    EXPECT_EQ(k.qk_exp(1e30f), kInf);
    EXPECT_EQ(k.qk_log(1.0f), 0.0f);
    EXPECT_EQ(k.qk_log(0.0f), -kInf);
    EXPECT_EQ(k.qk_log1p(-1.0f), -kInf);
    EXPECT_EQ(k.qk_tanh(20.0f), 1.0f);
    EXPECT_EQ(k.qk_tanh(-kInf), -1.0f);
    EXPECT_EQ(k.qk_erf(5.0f), 1.0f);
    EXPECT_EQ(k.qk_sigmoid(0.0f), 0.5f);
    EXPECT_EQ(k.qk_silu(0.0f), 0.0f);
    EXPECT_EQ(k.qk_softplus(20.5f), 20.5f);
    EXPECT_EQ(k.qk_softplus(-kInf), 0.0f);
    EXPECT_EQ(k.qk_gelu_erf(30.0f), 30.0f);
    EXPECT_EQ(k.qk_gelu_tanh(30.0f), 30.0f);
    EXPECT_EQ(k.qk_gelu_10(30.0f), 10.0f);
    EXPECT_EQ(k.qk_mish(30.0f), 30.0f);
    EXPECT_EQ(k.qk_hardswish(-3.0f), 0.0f);
    EXPECT_EQ(k.qk_hardswish(30.0f), 30.0f);
    EXPECT_EQ(k.qk_sin(0.0f), 0.0f);
    EXPECT_EQ(k.qk_cos(0.0f), 1.0f);
    EXPECT_TRUE(std::isnan(k.qk_sin(kInf)));
  }
}

} // namespace
} // namespace quern::native

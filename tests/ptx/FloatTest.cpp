#include "tests/ptx/OpcodeRun.h"

#include <cfenv>

namespace quern::ptx {
namespace {

// float32 operations in a long double, which holds sums and products of float32 of like size
// exactly, rounded by the host's own mode.
template <class F> float rounded(int mode, F exact) {
  const int old = std::fegetround();
  std::fesetround(mode);
  volatile float made = exact();
  std::fesetround(old);
  return made;
}

float flush(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
}

TEST(PtxFloat, RoundsToNearestEven) {
  hold<float, float, float>("add.f32", [](float a, float b) { return a + b; });
  hold<float, float, float>("add.rn.f32", [](float a, float b) { return a + b; });
  hold<float, float, float>("sub.f32", [](float a, float b) { return a - b; });
  hold<float, float, float>("mul.f32", [](float a, float b) { return a * b; });
  hold<float, float, float>("div.rn.f32", [](float a, float b) { return a / b; });
  hold<float, float, float, float>("fma.rn.f32",
                                   [](float a, float b, float c) { return std::fma(a, b, c); });
  hold<float, float>("sqrt.rn.f32", [](float a) { return std::sqrt(a); });
  hold<float, float>("rcp.rn.f32", [](float a) { return 1 / a; });
  hold<double, double, double>("add.f64", [](double a, double b) { return a + b; });
  hold<double, double, double>("mul.rn.f64", [](double a, double b) { return a * b; });
  hold<double, double, double, double>(
      "fma.rn.f64", [](double a, double b, double c) { return std::fma(a, b, c); });
  hold<double, double, double>("div.rn.f64", [](double a, double b) { return a / b; });
}

TEST(PtxFloat, RoundsOtherwise) {
  struct Mode {
    const char *name;
    int mode;
  };
  for (const Mode &one :
       {Mode{"rz", FE_TOWARDZERO}, Mode{"rm", FE_DOWNWARD}, Mode{"rp", FE_UPWARD}}) {
    const int mode = one.mode;
    const auto named = [&](const char *op) { return concat(op, ".", one.name, ".f32"); };
    hold<float, float, float>(named("add"), [&](float a0, float b0) {
      volatile float a = a0, b = b0;
      return rounded(mode, [&] { return a + b; });
    });
    hold<float, float, float>(named("sub"), [&](float a0, float b0) {
      volatile float a = a0, b = b0;
      return rounded(mode, [&] { return a - b; });
    });
    hold<float, float, float>(named("mul"), [&](float a0, float b0) {
      volatile float a = a0, b = b0;
      return rounded(mode, [&] { return a * b; });
    });
    hold<float, float, float>(named("div"), [&](float a0, float b0) {
      volatile float a = a0, b = b0;
      return rounded(mode, [&] { return a / b; });
    });
    hold<float, float, float, float>(named("fma"), [&](float a0, float b0, float c0) {
      volatile float a = a0, b = b0, c = c0;
      return rounded(mode, [&] { return std::fma(a, b, c); });
    });
    hold<float, float>(named("sqrt"), [&](float a0) {
      volatile float a = a0;
      return rounded(mode, [&] { return std::sqrt(a); });
    });
    hold<double, double, double>(concat("add.", one.name, ".f64"), [&](double a0, double b0) {
      volatile double a = a0, b = b0;
      const int old = std::fegetround();
      std::fesetround(mode);
      volatile double made = a + b;
      std::fesetround(old);
      return made;
    });
  }
}

TEST(PtxFloat, FlushesAndSaturates) {
  hold<float, float, float>("add.ftz.f32",
                            [](float a, float b) { return flush(flush(a) + flush(b)); });
  hold<float, float, float>("mul.rn.ftz.f32",
                            [](float a, float b) { return flush(flush(a) * flush(b)); });
  hold<float, float, float, float>("fma.rn.ftz.f32", [](float a, float b, float c) {
    return flush(std::fma(flush(a), flush(b), flush(c)));
  });
  hold<float, float, float>("add.sat.f32", [](float a, float b) {
    const float sum = a + b;
    return sum > 0 ? std::min(sum, 1.0f) : 0.0f;
  });
}

TEST(PtxFloat, NanIsTheMachines) {
  for (u32 bits :
       run_opcode<u32>("add.f32", "", std::vector<u32>{0x7fc00001, 0x7f800000, 0xffffffff},
                       std::vector<u32>{0x3f800000, 0xff800000, 0}))
    EXPECT_EQ(bits, 0x7fffffffu);
}

TEST(PtxFloat, LeastAndMost) {
  const auto less = [](float a, float b) {
    return a < b || (a == b && std::signbit(a) && !std::signbit(b));
  };
  hold<float, float, float>("min.f32", [&](float a, float b) {
    return a != a ? b : b != b ? a : less(a, b) ? a : b;
  });
  hold<float, float, float>("max.f32", [&](float a, float b) {
    return a != a ? b : b != b ? a : less(a, b) ? b : a;
  });
  hold<float, float, float>("max.NaN.f32", [&](float a, float b) {
    return a != a ? a : b != b ? b : less(a, b) ? b : a;
  });
  hold<float, float, float>("min.ftz.f32", [&](float a, float b) {
    a = flush(a);
    b = flush(b);
    return a != a ? b : b != b ? a : less(a, b) ? a : b;
  });
  hold<double, double, double>("max.f64", [&](double a, double b) {
    return a != a ? b : b != b ? a : a > b || (a == b && !std::signbit(a)) ? a : b;
  });
  hold<float, float>("neg.f32", [](float a) { return -a; });
  hold<float, float>("abs.ftz.f32", [](float a) { return flush(std::fabs(a)); });
  hold<float, float, float>("copysign.f32", [](float a, float b) { return std::copysign(b, a); });
}

TEST(PtxFloat, ApproximationsAreTheNearest) {
  hold<float, float>("ex2.approx.f32",
                     [](float a) { return static_cast<float>(std::exp2(static_cast<double>(a))); });
  hold<float, float>("ex2.approx.ftz.f32", [](float a) {
    return flush(static_cast<float>(std::exp2(static_cast<double>(flush(a)))));
  });
  hold<float, float>("lg2.approx.ftz.f32", [](float a) {
    return flush(static_cast<float>(std::log2(static_cast<double>(flush(a)))));
  });
  hold<float, float>("rsqrt.approx.f32", [](float a) {
    return static_cast<float>(1 / std::sqrt(static_cast<double>(a)));
  });
  hold<float, float>("rcp.approx.ftz.f32", [](float a) {
    return flush(static_cast<float>(1 / static_cast<double>(flush(a))));
  });
  hold<float, float>("sin.approx.f32",
                     [](float a) { return static_cast<float>(std::sin(static_cast<double>(a))); });
  hold<float, float, float>("div.approx.f32", [](float a, float b) {
    return static_cast<float>(static_cast<double>(a) / b);
  });
}

// bfloat16 and float16 against arithmetic in long double (64 bits of mantissa), rounded once by
// searching the neighbours.
float brain(u16 bits) { return std::bit_cast<float>(static_cast<u32>(bits) << 16); }
float half(u16 bits) { return static_cast<float>(std::bit_cast<_Float16>(bits)); }
template <class Wide> u16 nearest(long double exact, Wide wide, u16 infinity) {
  if (exact != exact)
    return 0x7fff;
  const u16 sign = std::signbit(exact) ? 0x8000 : 0;
  const long double size = std::fabs(exact);
  u32 low = 0, high = infinity;
  while (high - low > 1) {
    const u32 middle = (low + high) / 2;
    (static_cast<long double>(wide(static_cast<u16>(middle))) <= size ? low : high) = middle;
  }
  const long double below = wide(static_cast<u16>(low));
  // The place of the next number, were there no infinity.
  const long double above = high == infinity
                                ? below + (below - wide(static_cast<u16>(low - 1)))
                                : static_cast<long double>(wide(static_cast<u16>(high)));
  if (std::isinf(size))
    return static_cast<u16>(sign | infinity);
  const bool up = size - below > above - size || (size - below == above - size && (low & 1) != 0);
  return static_cast<u16>(sign | (up ? high : low));
}

template <class Wide> void narrow_format(const std::string &name, Wide wide, u16 infinity) {
  const auto value = [&](u16 bits) { return static_cast<long double>(wide(bits)); };
  const auto round = [&](long double exact) { return nearest(exact, wide, infinity); };
  hold<u16, u16, u16>("add.rn." + name, [&](u16 a, u16 b) { return round(value(a) + value(b)); });
  hold<u16, u16, u16>("sub.rn." + name, [&](u16 a, u16 b) { return round(value(a) - value(b)); });
  hold<u16, u16, u16>("mul.rn." + name, [&](u16 a, u16 b) { return round(value(a) * value(b)); });
  hold<u16, u16, u16, u16>("fma.rn." + name, [&](u16 a, u16 b, u16 c) {
    // Products are exact; of the sum, long double may lose what lies 2^-64 below: kept as a sticky
    // last bit.
    const long double product = value(a) * value(b), sum = product + value(c);
    const long double part = sum - product, error = (product - (sum - part)) + (value(c) - part);
    if (error == 0 || error != error || std::isinf(sum))
      return round(sum);
    return round(std::nextafter(sum, error > 0 ? std::numeric_limits<long double>::infinity()
                                               : -std::numeric_limits<long double>::infinity()));
  });
  hold<u32, u32, u32>("mul.rn." + name + "x2", [&](u32 a, u32 b) {
    return static_cast<u32>(
               round(value(static_cast<u16>(a >> 16)) * value(static_cast<u16>(b >> 16))))
               << 16 |
           round(value(static_cast<u16>(a)) * value(static_cast<u16>(b)));
  });
  hold<u16, u16>("neg." + name, [](u16 a) { return static_cast<u16>(a ^ 0x8000); });
  hold<u16, u16, u16>("max." + name, [&](u16 a, u16 b) {
    const bool a_nan = (a & 0x7fff) > infinity, b_nan = (b & 0x7fff) > infinity;
    if (a_nan || b_nan)
      return a_nan && b_nan ? u16{0x7fff} : a_nan ? b : a;
    return wide(a) > wide(b) || (wide(a) == wide(b) && (a & 0x8000) == 0) ? a : b;
  });
}

TEST(PtxHalf, Brain) { narrow_format("bf16", brain, 0x7f80); }
TEST(PtxHalf, Half) { narrow_format("f16", half, 0x7c00); }

} // namespace
} // namespace quern::ptx

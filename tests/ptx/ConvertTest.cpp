#include "tests/ptx/OpcodeRun.h"

#include <cfenv>

namespace quern::ptx {
namespace {

template <class T, class F> T clamped(F value) {
  if (value != value)
    return sizeof(T) == 8 ? static_cast<T>(u64{1} << 63) : T{0};
  if (value >= static_cast<F>(std::numeric_limits<T>::max()))
    return std::numeric_limits<T>::max();
  if (value <= static_cast<F>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  return static_cast<T>(value);
}

TEST(PtxConvert, IntegersExtendAndCut) {
  hold<u64, i32>("cvt.s64.s32", [](i32 a) { return static_cast<u64>(i64{a}); });
  hold<u64, u32>("cvt.u64.u32", [](u32 a) { return u64{a}; });
  hold<u64, i32>("cvt.u64.s32", [](i32 a) { return static_cast<u64>(i64{a}); });
  hold<u32, u64>("cvt.u32.u64", [](u64 a) { return static_cast<u32>(a); });
  hold<u16, u32>("cvt.u16.u32", [](u32 a) { return static_cast<u16>(a); });
  hold<u32, u16>("cvt.s32.s16", [](u16 a) { return static_cast<u32>(static_cast<i16>(a)); });
  hold<u32, u32>("cvt.s32.s8", [](u32 a) { return static_cast<u32>(static_cast<i8>(a)); });
  hold<u32, u32>("cvt.u32.u8", [](u32 a) { return a & 0xff; });
  hold<u32, u16>("cvt.u32.u8", [](u16 a) { return u32{a} & 0xff; });
  hold<u64, u32>("cvt.s64.s8", [](u32 a) { return static_cast<u64>(i64{static_cast<i8>(a)}); });
  hold<u16, u32>("cvt.s16.s8", [](u32 a) { return static_cast<u16>(static_cast<i8>(a)); });
  // The register is wider than the type: extended by its sign.
  hold<u32, u32>("cvt.s16.s32", [](u32 a) { return static_cast<u32>(static_cast<i16>(a)); });
  hold<u32, i32>("cvt.sat.u8.s32", [](i32 a) { return static_cast<u32>(std::clamp(a, 0, 255)); });
  hold<u32, i32>("cvt.sat.s8.s32",
                 [](i32 a) { return static_cast<u32>(std::clamp(a, -128, 127)); });
  hold<u32, u64>("cvt.sat.s32.u64",
                 [](u64 a) { return static_cast<u32>(std::min<u64>(a, 0x7fffffff)); });
  hold<u32, i32, i32>("cvt.pack.sat.s16.s32", [](i32 a, i32 b) {
    const auto clamp = [](i32 value) {
      return static_cast<u32>(static_cast<u16>(std::clamp(value, -32768, 32767)));
    };
    return clamp(a) << 16 | clamp(b);
  });
}

TEST(PtxConvert, FloatsToIntegers) {
  hold<i32, float>("cvt.rni.s32.f32",
                   [](float a) { return clamped<i32>(std::nearbyint(static_cast<double>(a))); });
  hold<i32, float>("cvt.rzi.s32.f32",
                   [](float a) { return clamped<i32>(std::trunc(static_cast<double>(a))); });
  hold<u32, float>("cvt.rzi.u32.f32",
                   [](float a) { return clamped<u32>(std::trunc(static_cast<double>(a))); });
  hold<i32, float>("cvt.rmi.s32.f32",
                   [](float a) { return clamped<i32>(std::floor(static_cast<double>(a))); });
  hold<u32, float>("cvt.rpi.u32.f32",
                   [](float a) { return clamped<u32>(std::ceil(static_cast<double>(a))); });
  hold<i64, float>("cvt.rzi.s64.f32",
                   [](float a) { return clamped<i64>(std::trunc(static_cast<double>(a))); });
  hold<u64, double>("cvt.rni.u64.f64", [](double a) { return clamped<u64>(std::nearbyint(a)); });
  hold<i32, double>("cvt.rni.s32.f64", [](double a) { return clamped<i32>(std::nearbyint(a)); });
  hold<u32, float>("cvt.rni.s8.f32", [](float a) {
    return static_cast<u32>(i32{clamped<i8>(std::nearbyint(static_cast<double>(a)))});
  });
  hold<float, float>("cvt.rni.f32.f32", [](float a) { return std::nearbyint(a); });
  hold<float, float>("cvt.rmi.f32.f32", [](float a) { return std::floor(a); });
  hold<float, float>("cvt.rzi.f32.f32", [](float a) { return std::trunc(a); });
  hold<double, double>("cvt.rpi.f64.f64", [](double a) { return std::ceil(a); });
}

template <class To, class From> To with_mode(int mode, From value) {
  volatile From from = value;
  const int old = std::fegetround();
  std::fesetround(mode);
  volatile To made = static_cast<To>(from);
  std::fesetround(old);
  return made;
}

TEST(PtxConvert, IntegersToFloats) {
  hold<float, i32>("cvt.rn.f32.s32", [](i32 a) { return static_cast<float>(a); });
  hold<float, u32>("cvt.rn.f32.u32", [](u32 a) { return static_cast<float>(a); });
  hold<float, u64>("cvt.rn.f32.u64", [](u64 a) { return static_cast<float>(a); });
  hold<float, i64>("cvt.rn.f32.s64", [](i64 a) { return static_cast<float>(a); });
  hold<float, i64>("cvt.rz.f32.s64", [](i64 a) { return with_mode<float>(FE_TOWARDZERO, a); });
  hold<float, i32>("cvt.rp.f32.s32", [](i32 a) { return with_mode<float>(FE_UPWARD, a); });
  hold<double, u64>("cvt.rn.f64.u64", [](u64 a) { return static_cast<double>(a); });
  hold<double, i64>("cvt.rm.f64.s64", [](i64 a) { return with_mode<double>(FE_DOWNWARD, a); });
  hold<double, i64>("cvt.rn.f64.s64", [](i64 a) { return static_cast<double>(a); });
  hold<float, u16>("cvt.rn.f32.s8", [](u16 a) { return static_cast<float>(static_cast<i8>(a)); });
  hold<float, u16>("cvt.rn.f32.s16", [](u16 a) { return static_cast<float>(static_cast<i16>(a)); });
}

TEST(PtxConvert, FloatsToFloats) {
  hold<double, float>("cvt.f64.f32", [](float a) { return static_cast<double>(a); });
  hold<float, double>("cvt.rn.f32.f64", [](double a) { return static_cast<float>(a); });
  hold<float, double>("cvt.rz.f32.f64",
                      [](double a) { return with_mode<float>(FE_TOWARDZERO, a); });
  hold<float, double>("cvt.rm.f32.f64", [](double a) { return with_mode<float>(FE_DOWNWARD, a); });
  hold<float, u16>("cvt.f32.f16",
                   [](u16 a) { return static_cast<float>(std::bit_cast<_Float16>(a)); });
  hold<float, u16>("cvt.f32.bf16",
                   [](u16 a) { return std::bit_cast<float>(static_cast<u32>(a) << 16); });
  const auto brain = [](float a) {
    const u32 bits = std::bit_cast<u32>(a);
    return a != a ? u16{0x7fff} : static_cast<u16>((u64{bits} + 0x7fff + (bits >> 16 & 1)) >> 16);
  };
  const auto half = [](float a) {
    return a != a ? u16{0x7fff} : std::bit_cast<u16>(static_cast<_Float16>(a));
  };
  hold<u16, float>("cvt.rn.bf16.f32", brain);
  hold<u16, float>("cvt.rn.f16.f32", half);
  hold<u16, float>("cvt.rz.bf16.f32", [](float a) {
    return a != a ? u16{0x7fff} : static_cast<u16>(std::bit_cast<u32>(a) >> 16);
  });
  hold<u32, float, float>("cvt.rn.bf16x2.f32", [&](float a, float b) {
    return static_cast<u32>(brain(a)) << 16 | brain(b);
  });
  hold<u32, float, float>("cvt.rn.f16x2.f32", [&](float a, float b) {
    return static_cast<u32>(half(a)) << 16 | half(b);
  });
  hold<u32, float, float>("cvt.rn.relu.bf16x2.f32", [&](float a, float b) {
    const auto relu = [&](float v) { return v != v ? u16{0x7fff} : v > 0 ? brain(v) : u16{0}; };
    return static_cast<u32>(relu(a)) << 16 | relu(b);
  });
  hold<u32, float>("cvt.rna.tf32.f32", [](float a) {
    const u32 bits = std::bit_cast<u32>(a);
    return a != a ? 0x7fffffffu : std::isinf(a) ? bits : (bits + 0x1000) & ~0x1fffu;
  });
}

// A double converts to float16 with one rounding: 1 + 2^-11 + 2^-40 lies above the middle.
TEST(PtxConvert, OneRounding) {
  const std::vector<double> from{1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -40),
                                 1 + std::ldexp(1.0, -11),
                                 1 + std::ldexp(1.0, -8) + std::ldexp(1.0, -50)};
  const auto half = run_opcode<u16>("cvt.rn.f16.f64", "", from);
  EXPECT_EQ(half[0], 0x3c01);
  EXPECT_EQ(half[1], 0x3c00);
  const auto brain = run_opcode<u16>("cvt.rn.bf16.f64", "", from);
  EXPECT_EQ(brain[2], 0x3f81);
}

TEST(PtxCompare, Orders) {
  // A predicate is seen through selp.
  const auto compare = [](const std::string &name, auto a, auto b, auto truth) {
    using T = decltype(a);
    const auto first = operands<T>(2000, 2), second = operands<T>(2000, 3);
    const std::string set =
        concat("{ .reg .pred %q; setp.", name, " %q, %s0, %s1; selp.b32 %d, 1, 0, %q; }\n//");
    const auto made = run_opcode<u32>(set, "", first, second);
    int wrong = 0;
    for (size_t n = 0; n < made.size() && wrong < 3; ++n)
      if ((made[n] != 0) != truth(first[n], second[n])) {
        ++wrong;
        ADD_FAILURE() << "setp." << name << "(" << shown(first[n]) << ", " << shown(second[n])
                      << ") = " << made[n];
      }
  };
  compare("lt.s32", i32{}, i32{}, [](i32 a, i32 b) { return a < b; });
  compare("hi.u32", u32{}, u32{}, [](u32 a, u32 b) { return a > b; });
  compare("ge.s64", i64{}, i64{}, [](i64 a, i64 b) { return a >= b; });
  compare("ls.u16", u16{}, u16{}, [](u16 a, u16 b) { return a <= b; });
  compare("ne.b32", u32{}, u32{}, [](u32 a, u32 b) { return a != b; });
  compare("eq.f32", float{}, float{}, [](float a, float b) { return a == b; });
  compare("ne.f32", float{}, float{}, [](float a, float b) { return a == a && b == b && a != b; });
  compare("neu.f32", float{}, float{}, [](float a, float b) { return a != b; });
  compare("equ.f32", float{}, float{}, [](float a, float b) { return a != a || b != b || a == b; });
  compare("ltu.f32", float{}, float{}, [](float a, float b) { return !(a >= b); });
  compare("geu.f64", double{}, double{}, [](double a, double b) { return !(a < b); });
  compare("gt.f64", double{}, double{}, [](double a, double b) { return a > b; });
  compare("num.f32", float{}, float{}, [](float a, float b) { return a == a && b == b; });
  compare("nan.f32", float{}, float{}, [](float a, float b) { return a != a || b != b; });
  compare("lt.ftz.f32", float{}, float{}, [](float a, float b) {
    const auto flush = [](float v) { return std::fpclassify(v) == FP_SUBNORMAL ? 0.0f : v; };
    return flush(a) < flush(b);
  });
}

TEST(PtxCompare, Selects) {
  hold<u32, u32, u32, i32>("slct.u32.s32", [](u32 a, u32 b, i32 c) { return c >= 0 ? a : b; });
  hold<u32, float, float>("set.lt.u32.f32", [](float a, float b) { return a < b ? ~0u : 0u; });
  hold<float, i32, i32>("set.ge.f32.s32", [](i32 a, i32 b) { return a >= b ? 1.0f : 0.0f; });
}

} // namespace
} // namespace quern::ptx

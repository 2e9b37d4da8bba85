// float32 and float64 arithmetic: PTX ISA, section 9.7.3.
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Rounding.h"

#include <cfenv>
#include <cmath>
#include <string>

QUERN_PTX_BEGIN
namespace {

template <bool kFlush> float in(float value) { return kFlush ? flushed(value) : value; }
template <bool kFlush, bool kSaturate> float out(float value) {
  if (kFlush)
    value = flushed(value);
  return kSaturate ? saturated(value) : canonical(value);
}

template <Round kRound, bool kFlush, bool kSaturate>
void singles(FormTable &table, const std::string &round) {
  const std::string tail = round + (kFlush ? ".ftz" : "") + (kSaturate ? ".sat" : "") + ".f32";
  table.add("add" + tail, lanes<[](float a, float b) {
              return out<kFlush, kSaturate>(add_rounded<kRound>(in<kFlush>(a), in<kFlush>(b)));
            }>());
  table.add("sub" + tail, lanes<[](float a, float b) {
              return out<kFlush, kSaturate>(add_rounded<kRound>(in<kFlush>(a), -in<kFlush>(b)));
            }>());
  table.add("mul" + tail, lanes<[](float a, float b) {
              return out<kFlush, kSaturate>(mul_rounded<kRound>(in<kFlush>(a), in<kFlush>(b)));
            }>());
  if (round.empty())
    return;
  const Form fma = lanes<[](float a, float b, float c) {
    return out<kFlush, kSaturate>(fma_rounded<kRound>(in<kFlush>(a), in<kFlush>(b), in<kFlush>(c)));
  }>();
  table.add("fma" + tail, fma);
  table.add("mad" + tail, fma);
  if (kSaturate)
    return;
  table.add("div" + tail, lanes<[](float a, float b) {
              return out<kFlush, false>(div_rounded<kRound>(in<kFlush>(a), in<kFlush>(b)));
            }>());
  table.add("rcp" + tail, lanes<[](float a) {
              return out<kFlush, false>(div_rounded<kRound>(1.0f, in<kFlush>(a)));
            }>());
  table.add(
      "sqrt" + tail,
      lanes<[](float a) { return out<kFlush, false>(sqrt_rounded<kRound>(in<kFlush>(a))); }>());
}
template <Round kRound> void single_rounding(FormTable &table, const std::string &round) {
  singles<kRound, false, false>(table, round);
  singles<kRound, true, false>(table, round);
  singles<kRound, false, true>(table, round);
  singles<kRound, true, true>(table, round);
}

// float64 with another rounding than to nearest asks the host's own.
template <Round kRound>
double with_rounding(double (*operation)(double, double, double), double a, double b, double c) {
  if (kRound == Round::Nearest)
    return operation(a, b, c);
  const int old = std::fegetround();
  std::fesetround(kRound == Round::Zero   ? FE_TOWARDZERO
                  : kRound == Round::Down ? FE_DOWNWARD
                                          : FE_UPWARD);
  const double made = operation(a, b, c);
  std::fesetround(old);
  return made;
}
__attribute__((noinline)) double add_double(double a, double b, double) { return a + b; }
__attribute__((noinline)) double mul_double(double a, double b, double) { return a * b; }
__attribute__((noinline)) double fma_double(double a, double b, double c) {
  return std::fma(a, b, c);
}
__attribute__((noinline)) double div_double(double a, double b, double) { return a / b; }
__attribute__((noinline)) double sqrt_double(double a, double, double) { return std::sqrt(a); }

template <Round kRound> void doubles(FormTable &table, const std::string &round) {
  const std::string tail = round + ".f64";
  table.add("add" + tail,
            lanes<[](double a, double b) { return with_rounding<kRound>(add_double, a, b, 0); }>());
  table.add(
      "sub" + tail,
      lanes<[](double a, double b) { return with_rounding<kRound>(add_double, a, -b, 0); }>());
  table.add("mul" + tail,
            lanes<[](double a, double b) { return with_rounding<kRound>(mul_double, a, b, 0); }>());
  if (round.empty())
    return;
  const Form fma = lanes<[](double a, double b, double c) {
    return with_rounding<kRound>(fma_double, a, b, c);
  }>();
  table.add("fma" + tail, fma);
  table.add("mad" + tail, fma);
  table.add("div" + tail,
            lanes<[](double a, double b) { return with_rounding<kRound>(div_double, a, b, 0); }>());
  table.add("rcp" + tail,
            lanes<[](double a) { return with_rounding<kRound>(div_double, 1.0, a, 0); }>());
  table.add("sqrt" + tail,
            lanes<[](double a) { return with_rounding<kRound>(sqrt_double, a, 0, 0); }>());
}

// A NaN loses to a number, unless it is asked for; -0 is less than +0.
template <class T> bool less(T a, T b) {
  return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}
template <class T> T nan_of() {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<float>(0x7fffffffu);
  else
    return std::bit_cast<double>(u64{0x7fffffffffffffff});
}
template <class T, bool kNan> T least(T a, T b) {
  if (a != a || b != b)
    return kNan || (a != a && b != b) ? nan_of<T>() : a != a ? b : a;
  return less(a, b) ? a : b;
}
template <class T, bool kNan> T most(T a, T b) {
  if (a != a || b != b)
    return kNan || (a != a && b != b) ? nan_of<T>() : a != a ? b : a;
  return less(a, b) ? b : a;
}
template <auto F> float xorsign(float a, float b) {
  const u32 sign = (std::bit_cast<u32>(a) ^ std::bit_cast<u32>(b)) & 0x80000000u;
  const float made = F(std::fabs(a), std::fabs(b));
  return made != made ? made : std::bit_cast<float>(std::bit_cast<u32>(made) | sign);
}

template <bool kFlush> void extremes(FormTable &table) {
  const std::string flush = kFlush ? ".ftz" : "";
  table.add(
      "min" + flush + ".f32",
      lanes<[](float a, float b) { return least<float, false>(in<kFlush>(a), in<kFlush>(b)); }>());
  table.add(
      "max" + flush + ".f32",
      lanes<[](float a, float b) { return most<float, false>(in<kFlush>(a), in<kFlush>(b)); }>());
  table.add(
      "min" + flush + ".NaN.f32",
      lanes<[](float a, float b) { return least<float, true>(in<kFlush>(a), in<kFlush>(b)); }>());
  table.add(
      "max" + flush + ".NaN.f32",
      lanes<[](float a, float b) { return most<float, true>(in<kFlush>(a), in<kFlush>(b)); }>());
  table.add("min" + flush + ".xorsign.abs.f32", lanes<[](float a, float b) {
              return xorsign<least<float, false>>(in<kFlush>(a), in<kFlush>(b));
            }>());
  table.add("max" + flush + ".xorsign.abs.f32", lanes<[](float a, float b) {
              return xorsign<most<float, false>>(in<kFlush>(a), in<kFlush>(b));
            }>());
  table.add("neg" + flush + ".f32", lanes<[](float a) { return -in<kFlush>(a); }>());
  table.add("abs" + flush + ".f32", lanes<[](float a) { return std::fabs(in<kFlush>(a)); }>());
}

// Approximate instructions give the float32 nearest to the exact value; perturbed, one up to kUlps
// away from it, always the same for the same operands.
template <auto F, int kUlps, bool kFlush, class... A>
void approximate(Warp &warp, const Instr &instr, Mask mask) {
  const u32 seed = warp.launch->numerics.perturbation;
  const auto run = [&]<size_t... N>(std::index_sequence<N...>) {
    const float *from[] = {warp.reg<float>(instr.o[N + 1])...};
    float made[kLanes];
    for (int l = 0; l < kLanes; ++l) {
      float value = static_cast<float>(F(static_cast<double>(in<kFlush>(from[N][l]))...));
      if (seed != 0 && value != 0 && std::isfinite(value)) {
        u32 hash = seed * 0x9e3779b9u;
        ((hash = (hash ^ std::bit_cast<u32>(from[N][l])) * 0x85ebca6bu, hash ^= hash >> 15), ...);
        const int off = static_cast<int>(hash >> 8) % (2 * kUlps + 1) - kUlps;
        const float moved = std::bit_cast<float>(std::bit_cast<u32>(value) + static_cast<u32>(off));
        if (std::isfinite(moved))
          value = moved;
      }
      made[l] = out<kFlush, false>(value);
    }
    store_lanes(warp, instr.o[0], mask, made);
  };
  run(std::index_sequence_for<A...>());
}
template <auto F, int kUlps> void approximation(FormTable &table, const std::string &name) {
  const Type t = Type::F32;
  table.add(name + ".f32", {approximate<F, kUlps, false, float>, 0, {t, t}});
  table.add(name + ".ftz.f32", {approximate<F, kUlps, true, float>, 0, {t, t}});
}

enum Test : u8 { kFinite, kInfinite, kNumber, kNotANumber, kNormal, kSubnormal };
template <class T> bool test(T a, Test which) {
  switch (which) {
  case kFinite:
    return std::isfinite(a);
  case kInfinite:
    return std::isinf(a);
  case kNumber:
    return a == a;
  case kNotANumber:
    return a != a;
  case kNormal:
    return std::isnormal(a);
  case kSubnormal:
    return std::isfinite(a) && !std::isnormal(a); // zero too
  }
  return false;
}
template <class T> void tests(FormTable &table, const std::string &type) {
  table.add("testp.finite" + type, lanes<[](T a) { return test(a, kFinite); }>());
  table.add("testp.infinite" + type, lanes<[](T a) { return test(a, kInfinite); }>());
  table.add("testp.number" + type, lanes<[](T a) { return test(a, kNumber); }>());
  table.add("testp.notanumber" + type, lanes<[](T a) { return test(a, kNotANumber); }>());
  table.add("testp.normal" + type, lanes<[](T a) { return test(a, kNormal); }>());
  table.add("testp.subnormal" + type, lanes<[](T a) { return test(a, kSubnormal); }>());
}

} // namespace

void add_float_forms(FormTable &table) {
  single_rounding<Round::Nearest>(table, "");
  single_rounding<Round::Nearest>(table, ".rn");
  single_rounding<Round::Zero>(table, ".rz");
  single_rounding<Round::Down>(table, ".rm");
  single_rounding<Round::Up>(table, ".rp");
  doubles<Round::Nearest>(table, "");
  doubles<Round::Nearest>(table, ".rn");
  doubles<Round::Zero>(table, ".rz");
  doubles<Round::Down>(table, ".rm");
  doubles<Round::Up>(table, ".rp");
  extremes<false>(table);
  extremes<true>(table);
  table.add("min.f64", lanes<[](double a, double b) { return least<double, false>(a, b); }>());
  table.add("max.f64", lanes<[](double a, double b) { return most<double, false>(a, b); }>());
  table.add("neg.f64", lanes<[](double a) { return -a; }>());
  table.add("abs.f64", lanes<[](double a) { return std::fabs(a); }>());
  table.add("copysign.f32", lanes<[](float a, float b) { return std::copysign(b, a); }>());
  table.add("copysign.f64", lanes<[](double a, double b) { return std::copysign(b, a); }>());
  tests<float>(table, ".f32");
  tests<double>(table, ".f64");
  approximation<[](double a) { return std::exp2(a); }, 2>(table, "ex2.approx");
  approximation<[](double a) { return std::log2(a); }, 2>(table, "lg2.approx");
  approximation<[](double a) { return 1 / std::sqrt(a); }, 2>(table, "rsqrt.approx");
  approximation<[](double a) { return std::sqrt(a); }, 2>(table, "sqrt.approx");
  approximation<[](double a) { return 1 / a; }, 1>(table, "rcp.approx");
  approximation<[](double a) { return std::sin(a); }, 4>(table, "sin.approx");
  approximation<[](double a) { return std::cos(a); }, 4>(table, "cos.approx");
  const Type t = Type::F32;
  table.add("tanh.approx.f32",
            {approximate<[](double a) { return std::tanh(a); }, 64, false, float>, 0, {t, t}});
  constexpr auto divide = [](double a, double b) { return a / b; };
  table.add("div.approx.f32 div.full.f32",
            {approximate<divide, 2, false, float, float>, 0, {t, t, t}});
  table.add("div.approx.ftz.f32 div.full.ftz.f32",
            {approximate<divide, 2, true, float, float>, 0, {t, t, t}});
  // The high word of the nearest float64: 2^-23 relative, as the machine's.
  table.add("rcp.approx.ftz.f64", lanes<[](double a) {
              return std::bit_cast<double>(std::bit_cast<u64>(1 / a) & ~u64{0xffffffff});
            }>());
  table.add("rsqrt.approx.f64 rsqrt.approx.ftz.f64",
            lanes<[](double a) { return 1 / std::sqrt(a); }>());
}

QUERN_PTX_END

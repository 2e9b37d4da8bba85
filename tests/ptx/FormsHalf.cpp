// float16 and bfloat16 arithmetic, alone and in pairs: PTX ISA, section 9.7.4.
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Rounding.h"

#include <cmath>
#include <string>

QUERN_PTX_BEGIN
namespace {

// Both formats by their bits: `wide` is exact in float64, `narrow` takes what was rounded to odd.
struct Half {
  static constexpr u16 kNan = 0x7fff, kExponent = 0x7c00;
  static constexpr const char *kName = "f16";
  static double wide(u16 bits) { return static_cast<double>(static_cast<float>(f16_from(bits))); }
  static u16 narrow(double value) { return canonical_bits(f16_of(value)); }
};
struct Brain {
  static constexpr u16 kNan = 0x7fff, kExponent = 0x7f80;
  static constexpr const char *kName = "bf16";
  static double wide(u16 bits) { return static_cast<double>(float_of(Bf16{bits})); }
  static u16 narrow(double value) { return bf16_of_odd(value); }
};

enum class After : u8 { Nothing, Saturate, Relu };
template <class F> u16 flush(u16 bits) { return (bits & F::kExponent) == 0 ? bits & 0x8000 : bits; }
template <class F, bool kFlush> double in(u16 bits) {
  return F::wide(kFlush ? flush<F>(bits) : bits);
}
template <class F, bool kFlush, After kAfter> u16 out(double value) {
  u16 bits = F::narrow(value);
  if (kFlush)
    bits = flush<F>(bits);
  const bool nan = (bits & 0x7fff) > F::kExponent;
  if (kAfter == After::Saturate)
    return nan || (bits & 0x8000) != 0 ? u16{0} : std::min<u16>(bits, F::narrow(1.0));
  if (kAfter == After::Relu && !nan && (bits & 0x8000) != 0)
    return 0;
  return bits;
}

// One lane's operation on bits, for a register of one and of two.
template <class F, auto Op> void both(FormTable &table, const std::string &names, size_t sources) {
  static constexpr auto pair = []<class... A>(A... a) {
    const u32 low = Op(static_cast<u16>(a)...), high = Op(static_cast<u16>(a >> 16)...);
    return high << 16 | low;
  };
  const std::string one = names + "." + F::kName, two = one + "x2";
  if (sources == 1) {
    if constexpr (requires { Op(u16{}); }) {
      table.add(one, lanes<[](u16 a) { return static_cast<u16>(Op(a)); }>());
      table.add(two, lanes<[](u32 a) { return pair(a); }>());
    }
  } else if (sources == 2) {
    if constexpr (requires { Op(u16{}, u16{}); }) {
      table.add(one, lanes<[](u16 a, u16 b) { return static_cast<u16>(Op(a, b)); }>());
      table.add(two, lanes<[](u32 a, u32 b) { return pair(a, b); }>());
    }
  } else {
    if constexpr (requires { Op(u16{}, u16{}, u16{}); }) {
      table.add(one, lanes<[](u16 a, u16 b, u16 c) { return static_cast<u16>(Op(a, b, c)); }>());
      table.add(two, lanes<[](u32 a, u32 b, u32 c) { return pair(a, b, c); }>());
    }
  }
}

template <class F, bool kFlush, After kAfter> void arithmetic(FormTable &table) {
  const std::string tail = std::string(kFlush ? ".ftz" : "") + (kAfter == After::Saturate ? ".sat"
                                                                : kAfter == After::Relu   ? ".relu"
                                                                                          : "");
  for (const char *round : {"", ".rn"}) {
    if (kAfter != After::Relu) {
      both<F, [](u16 a, u16 b) {
        return out<F, kFlush, kAfter>(add_odd(in<F, kFlush>(a), in<F, kFlush>(b)));
      }>(table, std::string("add") + round + tail, 2);
      both<F, [](u16 a, u16 b) {
        return out<F, kFlush, kAfter>(add_odd(in<F, kFlush>(a), -in<F, kFlush>(b)));
      }>(table, std::string("sub") + round + tail, 2);
      both<F, [](u16 a, u16 b) {
        return out<F, kFlush, kAfter>(in<F, kFlush>(a) * in<F, kFlush>(b));
      }>(table, std::string("mul") + round + tail, 2);
    }
  }
  both<F, [](u16 a, u16 b, u16 c) {
    return out<F, kFlush, kAfter>(fma_odd(in<F, kFlush>(a), in<F, kFlush>(b), in<F, kFlush>(c)));
  }>(table, "fma.rn" + tail, 3);
}

template <class F, bool kMost, bool kNan, bool kFlush> u16 extreme(u16 a, u16 b) {
  if (kFlush) {
    a = flush<F>(a);
    b = flush<F>(b);
  }
  const bool a_nan = (a & 0x7fff) > F::kExponent, b_nan = (b & 0x7fff) > F::kExponent;
  if (a_nan || b_nan)
    return kNan || (a_nan && b_nan) ? F::kNan : a_nan ? b : a;
  const double x = F::wide(a), y = F::wide(b);
  const bool less = x < y || (x == y && (a & 0x8000) > (b & 0x8000));
  return less != kMost ? a : b;
}
template <class F, bool kFlush> void extremes(FormTable &table) {
  const std::string flush = kFlush ? ".ftz" : "";
  both<F, [](u16 a, u16 b) { return extreme<F, false, false, kFlush>(a, b); }>(table, "min" + flush,
                                                                               2);
  both<F, [](u16 a, u16 b) { return extreme<F, true, false, kFlush>(a, b); }>(table, "max" + flush,
                                                                              2);
  both<F, [](u16 a, u16 b) { return extreme<F, false, true, kFlush>(a, b); }>(
      table, "min" + flush + ".NaN", 2);
  both<F, [](u16 a, u16 b) { return extreme<F, true, true, kFlush>(a, b); }>(
      table, "max" + flush + ".NaN", 2);
  both<F, [](u16 a) {
    return static_cast<u16>((kFlush ? quern::ptx::QUERN_PTX_LEVEL::flush<F>(a) : a) ^ 0x8000);
  }>(table, "neg" + flush, 1);
  both<F, [](u16 a) {
    return static_cast<u16>((kFlush ? quern::ptx::QUERN_PTX_LEVEL::flush<F>(a) : a) & 0x7fff);
  }>(table, "abs" + flush, 1);
}

template <class F> void format(FormTable &table) {
  arithmetic<F, false, After::Nothing>(table);
  arithmetic<F, false, After::Relu>(table);
  extremes<F, false>(table);
  both<F, [](u16 a) { return F::narrow(std::tanh(F::wide(a))); }>(table, "tanh.approx", 1);
}

} // namespace

void add_half_forms(FormTable &table) {
  format<Half>(table);
  format<Brain>(table);
  // bfloat16 neither flushes nor saturates, but for 2^x, which does not come without.
  arithmetic<Half, true, After::Nothing>(table);
  arithmetic<Half, false, After::Saturate>(table);
  arithmetic<Half, true, After::Saturate>(table);
  arithmetic<Half, true, After::Relu>(table);
  extremes<Half, true>(table);
  both<Half, [](u16 a) { return Half::narrow(std::exp2(Half::wide(a))); }>(table, "ex2.approx", 1);
  both<Brain, [](u16 a) {
    return out<Brain, true, After::Nothing>(std::exp2(in<Brain, true>(a)));
  }>(table, "ex2.approx.ftz", 1);
}

QUERN_PTX_END

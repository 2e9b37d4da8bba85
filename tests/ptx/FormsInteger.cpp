// Integer arithmetic: PTX ISA, section 9.7.1.
#include "tests/ptx/Lanes.h"
#include "tests/ptx/LevelForms.h"

#include <absl/strings/str_cat.h>

#include <limits>
#include <string>

QUERN_PTX_BEGIN
namespace {

template <class T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, i32, u32>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, i64, u64>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;
template <class T> using Bits = std::make_unsigned_t<T>;

// Sums and products as the machine has them: modulo 2^n.
template <class T> T add(T a, T b) {
  return static_cast<T>(static_cast<Bits<T>>(a) + static_cast<Bits<T>>(b));
}
template <class T> T sub(T a, T b) {
  return static_cast<T>(static_cast<Bits<T>>(a) - static_cast<Bits<T>>(b));
}
template <class T> T mul_low(T a, T b) {
  return static_cast<T>(static_cast<u64>(a) * static_cast<u64>(b));
}
template <class T> T mul_high(T a, T b) {
  return static_cast<T>((static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b)) >> (8 * sizeof(T)));
}
template <class T> T saturated(i64 value) {
  return static_cast<T>(value > std::numeric_limits<T>::max()   ? std::numeric_limits<T>::max()
                        : value < std::numeric_limits<T>::min() ? std::numeric_limits<T>::min()
                                                                : value);
}
// Division by zero is unspecified; GPUs give all ones.
template <class T> T div(T a, T b) {
  if (b == 0)
    return static_cast<T>(~T{0});
  if constexpr (std::is_signed_v<T>)
    if (b == -1)
      return sub<T>(0, a);
  return static_cast<T>(a / b);
}
template <class T> T rem(T a, T b) {
  if (b == 0)
    return a;
  if constexpr (std::is_signed_v<T>)
    if (b == -1)
      return 0;
  return static_cast<T>(a % b);
}

template <class T> void typed(FormTable &table, const std::string &type) {
  table.add("add." + type, lanes<[](T a, T b) { return add(a, b); }>());
  table.add("sub." + type, lanes<[](T a, T b) { return sub(a, b); }>());
  table.add("mul.lo." + type, lanes<[](T a, T b) { return mul_low(a, b); }>());
  table.add("mul.hi." + type, lanes<[](T a, T b) { return mul_high(a, b); }>());
  table.add("mad.lo." + type, lanes<[](T a, T b, T c) { return add(mul_low(a, b), c); }>());
  table.add("mad.hi." + type, lanes<[](T a, T b, T c) { return add(mul_high(a, b), c); }>());
  if constexpr (sizeof(T) < 8) {
    table.add("mul.wide." + type, lanes<[](T a, T b) {
                return static_cast<Wide<T>>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b));
              }>());
    table.add("mad.wide." + type, lanes<[](T a, T b, Wide<T> c) {
                return add<Wide<T>>(
                    static_cast<Wide<T>>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b)), c);
              }>());
  }
  table.add("div." + type, lanes<[](T a, T b) { return div(a, b); }>());
  table.add("rem." + type, lanes<[](T a, T b) { return rem(a, b); }>());
  table.add("min." + type, lanes<[](T a, T b) { return a < b ? a : b; }>());
  table.add("max." + type, lanes<[](T a, T b) { return a > b ? a : b; }>());
  if constexpr (std::is_signed_v<T>) {
    table.add("neg." + type, lanes<[](T a) { return sub<T>(0, a); }>());
    table.add("abs." + type, lanes<[](T a) { return a < 0 ? sub<T>(0, a) : a; }>());
  }
}

u64 difference(u64 a, u64 b) { return a > b ? a - b : b - a; }

// Four products of bytes, two of halves and bytes.
template <class A, class B> i32 dp4(u32 a, u32 b, i32 c) {
  u32 sum = static_cast<u32>(c);
  for (int n = 0; n < 4; ++n)
    sum += static_cast<u32>(static_cast<i32>(static_cast<A>(a >> 8 * n)) *
                            static_cast<i32>(static_cast<B>(b >> 8 * n)));
  return static_cast<i32>(sum);
}
template <class A, class B> i32 dp2(u32 a, u32 b, i32 c, int first) {
  u32 sum = static_cast<u32>(c);
  for (int n = 0; n < 2; ++n)
    sum += static_cast<u32>(static_cast<i64>(static_cast<A>(a >> 16 * n)) *
                            static_cast<i64>(static_cast<B>(b >> 8 * (first + n))));
  return static_cast<i32>(sum);
}

template <class A, class B, class A2, class B2>
void dots(FormTable &table, const std::string &types) {
  table.add("dp4a." + types, lanes<[](u32 a, u32 b, i32 c) { return dp4<A, B>(a, b, c); }>());
  table.add("dp2a.lo." + types,
            lanes<[](u32 a, u32 b, i32 c) { return dp2<A2, B2>(a, b, c, 0); }>());
  table.add("dp2a.hi." + types,
            lanes<[](u32 a, u32 b, i32 c) { return dp2<A2, B2>(a, b, c, 2); }>());
}

// Carries: one flag a lane, in the warp. add.cc sets it, addc reads it.
template <class T, bool kSubtract, bool kReads, bool kWrites>
void carried(Warp &warp, const Instr &instr, Mask mask) {
  const T *a = warp.reg<T>(instr.o[1]), *b = warp.reg<T>(instr.o[2]);
  T made[kLanes];
  Mask out = warp.carry;
  for (int l = 0; l < kLanes; ++l) {
    const unsigned in = kReads ? (warp.carry >> l & 1) : 0;
    const T other = kSubtract ? static_cast<T>(~b[l]) : b[l];
    // A subtraction's flag is a borrow: a - b - borrow = a + ~b + !borrow.
    const unsigned carry = kSubtract ? 1 - in : in;
    const unsigned __int128 sum = static_cast<unsigned __int128>(a[l]) + other + carry;
    made[l] = static_cast<T>(sum);
    const Mask flag = static_cast<Mask>(sum >> (8 * sizeof(T))) & 1;
    const Mask bit = (kSubtract ? 1 - flag : flag) << l;
    out = (out & ~(Mask{1} << l)) | bit;
  }
  store_lanes(warp, instr.o[0], mask, made);
  if (kWrites)
    warp.carry = (warp.carry & ~mask) | (out & mask);
}
template <class T, bool kHigh, bool kReads, bool kWrites>
void multiplied(Warp &warp, const Instr &instr, Mask mask) {
  const T *a = warp.reg<T>(instr.o[1]), *b = warp.reg<T>(instr.o[2]), *c = warp.reg<T>(instr.o[3]);
  T made[kLanes];
  Mask out = warp.carry;
  for (int l = 0; l < kLanes; ++l) {
    const T part = kHigh ? mul_high(a[l], b[l]) : mul_low(a[l], b[l]);
    const unsigned __int128 sum = static_cast<unsigned __int128>(static_cast<Bits<T>>(part)) +
                                  static_cast<Bits<T>>(c[l]) + (kReads ? warp.carry >> l & 1 : 0);
    made[l] = static_cast<T>(sum);
    out = (out & ~(Mask{1} << l)) | ((static_cast<Mask>(sum >> (8 * sizeof(T))) & 1) << l);
  }
  store_lanes(warp, instr.o[0], mask, made);
  if (kWrites)
    warp.carry = (warp.carry & ~mask) | (out & mask);
}

template <class T, class S> void carries(FormTable &table, const std::string &bits) {
  for (const char *letter : {"u", "s"}) {
    const std::string type = letter + bits;
    const Type name = TypeName<T>::value;
    table.add("add.cc." + type, {carried<T, false, false, true>, 0, {name, name, name}});
    table.add("addc." + type, {carried<T, false, true, false>, 0, {name, name, name}});
    table.add("addc.cc." + type, {carried<T, false, true, true>, 0, {name, name, name}});
    table.add("sub.cc." + type, {carried<T, true, false, true>, 0, {name, name, name}});
    table.add("subc." + type, {carried<T, true, true, false>, 0, {name, name, name}});
    table.add("subc.cc." + type, {carried<T, true, true, true>, 0, {name, name, name}});
  }
  const auto mads = [&]<class U>(U, const std::string &type) {
    const Type name = TypeName<U>::value;
    table.add("mad.lo.cc." + type,
              {multiplied<U, false, false, true>, 0, {name, name, name, name}});
    table.add("mad.hi.cc." + type, {multiplied<U, true, false, true>, 0, {name, name, name, name}});
    table.add("madc.lo." + type, {multiplied<U, false, true, false>, 0, {name, name, name, name}});
    table.add("madc.hi." + type, {multiplied<U, true, true, false>, 0, {name, name, name, name}});
    table.add("madc.lo.cc." + type,
              {multiplied<U, false, true, true>, 0, {name, name, name, name}});
    table.add("madc.hi.cc." + type, {multiplied<U, true, true, true>, 0, {name, name, name, name}});
  };
  mads(T{}, "u" + bits);
  mads(S{}, "s" + bits);
}

// Halves of a register, each on its own (sm_90).
template <class T, auto F> u32 halves(u32 a, u32 b) {
  const u32 low = static_cast<u16>(F(static_cast<T>(a), static_cast<T>(b)));
  const u32 high = static_cast<u16>(F(static_cast<T>(a >> 16), static_cast<T>(b >> 16)));
  return high << 16 | low;
}

} // namespace

void add_integer_forms(FormTable &table) {
  typed<u16>(table, "u16");
  typed<i16>(table, "s16");
  typed<u32>(table, "u32");
  typed<i32>(table, "s32");
  typed<u64>(table, "u64");
  typed<i64>(table, "s64");
  table.add("add.sat.s32", lanes<[](i32 a, i32 b) { return saturated<i32>(i64{a} + b); }>());
  table.add("sub.sat.s32", lanes<[](i32 a, i32 b) { return saturated<i32>(i64{a} - b); }>());
  table.add("mad.hi.sat.s32",
            lanes<[](i32 a, i32 b, i32 c) { return saturated<i32>(i64{mul_high(a, b)} + c); }>());
  table.add("max.relu.s32", lanes<[](i32 a, i32 b) {
              const i32 most = a > b ? a : b;
              return most > 0 ? most : 0;
            }>());
  table.add("min.relu.s32", lanes<[](i32 a, i32 b) {
              const i32 least = a < b ? a : b;
              return least > 0 ? least : 0;
            }>());
  table.add("mul24.lo.u32", lanes<[](u32 a, u32 b) { return (a & 0xffffff) * (b & 0xffffff); }>());
  table.add("mul24.lo.s32", lanes<[](u32 a, u32 b) {
              return static_cast<u32>(i64{static_cast<i32>(a << 8) >> 8} *
                                      (static_cast<i32>(b << 8) >> 8));
            }>());
  table.add("mad24.lo.u32",
            lanes<[](u32 a, u32 b, u32 c) { return (a & 0xffffff) * (b & 0xffffff) + c; }>());
  table.add("mad24.lo.s32", lanes<[](u32 a, u32 b, u32 c) {
              return static_cast<u32>(i64{static_cast<i32>(a << 8) >> 8} *
                                      (static_cast<i32>(b << 8) >> 8)) +
                     c;
            }>());
  table.add("sad.u16",
            lanes<[](u16 a, u16 b, u16 c) { return static_cast<u16>(c + difference(a, b)); }>());
  table.add("sad.u32",
            lanes<[](u32 a, u32 b, u32 c) { return static_cast<u32>(c + difference(a, b)); }>());
  table.add("sad.u64", lanes<[](u64 a, u64 b, u64 c) { return c + difference(a, b); }>());
  table.add(
      "sad.s16",
      lanes<[](i16 a, i16 b, i16 c) { return static_cast<i16>(c + (a > b ? a - b : b - a)); }>());
  table.add("sad.s32", lanes<[](i32 a, i32 b, i32 c) {
              return static_cast<i32>(static_cast<u32>(c) +
                                      (a > b ? static_cast<u32>(a) - static_cast<u32>(b)
                                             : static_cast<u32>(b) - static_cast<u32>(a)));
            }>());
  dots<u8, u8, u16, u8>(table, "u32.u32");
  dots<u8, i8, u16, i8>(table, "u32.s32");
  dots<i8, u8, i16, u8>(table, "s32.u32");
  dots<i8, i8, i16, i8>(table, "s32.s32");
  carries<u32, i32>(table, "32");
  carries<u64, i64>(table, "64");
  table.add(
      "add.u16x2 add.s16x2",
      lanes<[](u32 a, u32 b) { return halves<u16, [](u16 x, u16 y) { return x + y; }>(a, b); }>());
  table.add("min.u16x2", lanes<[](u32 a, u32 b) {
              return halves<u16, [](u16 x, u16 y) { return x < y ? x : y; }>(a, b);
            }>());
  table.add("max.u16x2", lanes<[](u32 a, u32 b) {
              return halves<u16, [](u16 x, u16 y) { return x > y ? x : y; }>(a, b);
            }>());
  table.add("min.s16x2", lanes<[](u32 a, u32 b) {
              return halves<i16, [](i16 x, i16 y) { return x < y ? x : y; }>(a, b);
            }>());
  table.add("max.s16x2", lanes<[](u32 a, u32 b) {
              return halves<i16, [](i16 x, i16 y) { return x > y ? x : y; }>(a, b);
            }>());
}

QUERN_PTX_END

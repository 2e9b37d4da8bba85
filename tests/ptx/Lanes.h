// An operation on values of one lane, made a handler for all lanes: `lanes<[](u32 a, u32 b) {
// return a + b; }>` is a handler of a form whose operands have the types of the lambda.
#ifndef QUERN_TESTS_PTX_LANES_H
#define QUERN_TESTS_PTX_LANES_H

#include "tests/ptx/FormTable.h"
#include "tests/ptx/Level.h"
#include "tests/ptx/Warp.h"

#include <cstring>
#include <type_traits>
#include <utility>

QUERN_PTX_BEGIN

/// bfloat16 as its bits; arithmetic is written out where a form needs it.
struct Bf16 {
  u16 bits;
};

template <class T> struct TypeName;
template <> struct TypeName<bool> {
  static constexpr Type value = Type::Pred;
};
template <> struct TypeName<u16> {
  static constexpr Type value = Type::U16;
};
template <> struct TypeName<i16> {
  static constexpr Type value = Type::S16;
};
template <> struct TypeName<_Float16> {
  static constexpr Type value = Type::F16;
};
template <> struct TypeName<Bf16> {
  static constexpr Type value = Type::BF16;
};
template <> struct TypeName<u32> {
  static constexpr Type value = Type::U32;
};
template <> struct TypeName<i32> {
  static constexpr Type value = Type::S32;
};
template <> struct TypeName<float> {
  static constexpr Type value = Type::F32;
};
template <> struct TypeName<u64> {
  static constexpr Type value = Type::U64;
};
template <> struct TypeName<i64> {
  static constexpr Type value = Type::S64;
};
template <> struct TypeName<double> {
  static constexpr Type value = Type::F64;
};

/// Bits of bytes that are 0 or 1.
inline Mask mask_of(const u8 *truths) {
  Mask mask = 0;
  for (int part = 0; part < 4; ++part) {
    u64 eight;
    std::memcpy(&eight, truths + 8 * part, 8);
    mask |= static_cast<Mask>((eight * 0x0102040810204080u) >> 56) << (8 * part);
  }
  return mask;
}

template <class T> struct Source {
  const T *lanes;
  Source(Warp &warp, u32 offset) : lanes(warp.reg<T>(offset)) {}
  T operator[](int lane) const { return lanes[lane]; }
};
template <> struct Source<bool> {
  Mask mask;
  Source(Warp &warp, u32 offset) : mask(warp.pred(offset)) {}
  bool operator[](int lane) const { return (mask >> lane & 1) != 0; }
};

/// Writes the lanes of `mask` and no others.
template <class T> inline void store_lanes(Warp &warp, u32 offset, Mask mask, const T *values) {
  T *to = warp.reg<T>(offset);
  if (mask == kAllLanes) {
    std::memcpy(to, values, sizeof(T) * kLanes);
    return;
  }
  using Bits =
      std::conditional_t<sizeof(T) == 2, u16, std::conditional_t<sizeof(T) == 4, u32, u64>>;
  Bits old[kLanes], made[kLanes];
  std::memcpy(old, to, sizeof old);
  std::memcpy(made, values, sizeof made);
  for (int l = 0; l < kLanes; ++l) {
    const Bits keep = static_cast<Bits>(static_cast<Bits>(mask >> l & 1) - 1);
    old[l] = static_cast<Bits>((old[l] & keep) | (made[l] & ~keep));
  }
  std::memcpy(to, old, sizeof old);
}
inline void store_mask(Warp &warp, u32 offset, Mask mask, Mask values) {
  Mask &to = warp.pred(offset);
  to = (to & ~mask) | (values & mask);
}

template <auto F, class R, class... A> struct Applied {
  template <size_t... N>
  static void apply(Warp &warp, const Instr &instr, Mask mask, std::index_sequence<N...>) {
    const std::tuple<Source<A>...> from{Source<A>(warp, instr.o[N + 1])...};
    if constexpr (std::is_same_v<R, bool>) {
      u8 truths[kLanes];
      for (int l = 0; l < kLanes; ++l)
        truths[l] = F(std::get<N>(from)[l]...) ? 1 : 0;
      store_mask(warp, instr.o[0], mask, mask_of(truths));
    } else {
      R made[kLanes];
      for (int l = 0; l < kLanes; ++l)
        made[l] = F(std::get<N>(from)[l]...);
      store_lanes(warp, instr.o[0], mask, made);
    }
  }
  static void run(Warp &warp, const Instr &instr, Mask mask) {
    apply(warp, instr, mask, std::index_sequence_for<A...>());
  }
  static Form form() { return {run, 0, {TypeName<R>::value, TypeName<A>::value...}}; }
};

template <auto F, class Signature> struct Lambda;
template <auto F, class C, class R, class... A>
struct Lambda<F, R (C::*)(A...) const> : Applied<F, R, A...> {};

/// The form of an operation, its types those of the lambda.
template <auto F> Form lanes() { return Lambda<F, decltype(&decltype(F)::operator())>::form(); }

QUERN_PTX_END

#endif // QUERN_TESTS_PTX_LANES_H

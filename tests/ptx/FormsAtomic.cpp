// Atomic operations: PTX ISA, sections 9.7.13.5 to 9.7.13.8. Lanes take turns, the lowest first.
#include "tests/ptx/Decode.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Modifiers.h"
#include "tests/ptx/Resolve.h"
#include "tests/ptx/Rounding.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <cstring>

QUERN_PTX_BEGIN
namespace {

using Operation = u64 (*)(u64 old, u64 b, u64 c);

template <class T, auto F> u64 on(u64 old, u64 b, u64) {
  T x, y;
  std::memcpy(&x, &old, sizeof x);
  std::memcpy(&y, &b, sizeof y);
  const T made = F(x, y);
  u64 bits = 0;
  std::memcpy(&bits, &made, sizeof made);
  return bits;
}
u64 exchange(u64, u64 b, u64) { return b; }
u64 compare_and_swap(u64 old, u64 b, u64 c) { return old == b ? c : old; }

u16 add_half(u16 a, u16 b) {
  return canonical_bits(
      static_cast<_Float16>(static_cast<float>(f16_from(a)) + static_cast<float>(f16_from(b))));
}
u16 add_brain(u16 a, u16 b) { return bf16_of_odd(add_odd(float_of(Bf16{a}), float_of(Bf16{b}))); }
template <auto F> u32 pairwise(u32 a, u32 b) {
  return static_cast<u32>(F(static_cast<u16>(a >> 16), static_cast<u16>(b >> 16))) << 16 |
         F(static_cast<u16>(a), static_cast<u16>(b));
}

template <class T> Operation ordered(std::string_view name) {
  if (name == "min")
    return on<T, [](T a, T b) { return a < b ? a : b; }>;
  if (name == "max")
    return on<T, [](T a, T b) { return a > b ? a : b; }>;
  return nullptr;
}
template <class T> Operation integer(std::string_view name) {
  using U = std::make_unsigned_t<T>;
  if (name == "add")
    return on<U, [](U a, U b) { return static_cast<U>(a + b); }>;
  return ordered<T>(name);
}
template <class T> Operation bitwise(std::string_view name) {
  if (name == "and")
    return on<T, [](T a, T b) { return static_cast<T>(a & b); }>;
  if (name == "or")
    return on<T, [](T a, T b) { return static_cast<T>(a | b); }>;
  if (name == "xor")
    return on<T, [](T a, T b) { return static_cast<T>(a ^ b); }>;
  if (name == "exch")
    return exchange;
  if (name == "cas")
    return compare_and_swap;
  return nullptr;
}

Operation operation_of(std::string_view name, Type type, Space space, bool noftz) {
  switch (type) {
  case Type::U32:
    if (name == "inc")
      return on<u32, [](u32 a, u32 b) { return a >= b ? 0u : a + 1; }>;
    if (name == "dec")
      return on<u32, [](u32 a, u32 b) { return a == 0 || a > b ? b : a - 1; }>;
    return integer<u32>(name);
  case Type::S32:
    return integer<i32>(name);
  case Type::U64:
    return integer<u64>(name);
  case Type::S64:
    return integer<i64>(name);
  case Type::B16:
    return name == "cas" ? compare_and_swap : nullptr;
  case Type::B32:
    return bitwise<u32>(name);
  case Type::B64:
    return bitwise<u64>(name);
  case Type::F32:
    // The adders of the caches flush subnormal numbers; shared memory's do not.
    if (name == "add" && space == Space::Shared)
      return on<float, [](float a, float b) { return canonical(a + b); }>;
    return name == "add"
               ? on<float,
                    [](float a, float b) { return canonical(flushed(flushed(a) + flushed(b))); }>
               : nullptr;
  case Type::F64:
    return name == "add" ? on<double, [](double a, double b) { return a + b; }> : nullptr;
  case Type::F16:
    return name == "add" && noftz ? on<u16, add_half> : nullptr;
  case Type::BF16:
    return name == "add" && noftz ? on<u16, add_brain> : nullptr;
  case Type::F16x2:
    return name == "add" && noftz ? on<u32, pairwise<add_half>> : nullptr;
  case Type::BF16x2:
    return name == "add" && noftz ? on<u32, pairwise<add_brain>> : nullptr;
  default:
    return nullptr;
  }
}

// o: 0 result, 1 address, 2 and 3 sources.
template <class T> void atomic(Warp &warp, const Instr &instr, Mask mask) {
  Resolved at;
  resolve(warp, instr, mask, 1, sizeof(T), Access::Kind::Atomic, at);
  const Operation operation = reinterpret_cast<Operation>(instr.function);
  const T *b = warp.reg<T>(instr.o[2]), *c = warp.reg<T>(instr.o[3]);
  T made[kLanes];
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    T *place = reinterpret_cast<T *>(at.host[l]);
    made[l] = *place;
    *place = static_cast<T>(operation(made[l], b[l], c[l]));
  }
  if (instr.sub != 0) {
    store_lanes(warp, instr.o[0], mask, made);
    yield(warp);
  }
}

void decode_atom(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const Modifiers made = modifiers_of(decoder, statement, parts, parts[0]);
  const bool returns = parts[0] == "atom";
  const Operation operation = operation_of(made.operation, made.type, made.space, made.flush_off);
  const bool placed =
      made.space == Space::Generic || made.space == Space::Global || made.space == Space::Shared;
  const bool gives = made.operation == "exch" || made.operation == "cas";
  const bool halves = made.type == Type::F16 || made.type == Type::F16x2 ||
                      made.type == Type::BF16 || made.type == Type::BF16x2;
  if (operation == nullptr || !placed || (gives && !returns) || made.flush_off != halves ||
      (made.operation == "add" && made.type == Type::S64))
    decoder.refuse(concat("unknown form ", statement.opcode));
  const size_t wanted =
      2 + (returns ? 1 : 0) + (made.operation == "cas" ? 1 : 0) + (made.cache_hint ? 1 : 0);
  decoder.operands(statement, wanted, wanted);
  if (made.cache_hint)
    decoder.policy(statement.operands.back());
  const int bytes = bytes_of(made.type);
  instr.fn = bytes == 2 ? atomic<u16> : bytes == 4 ? atomic<u32> : atomic<u64>;
  instr.function = reinterpret_cast<void (*)()>(operation);
  instr.bytes = static_cast<u8>(bytes);
  instr.sub = returns ? 1 : 0;
  // Without an order an atomic operation is relaxed, of the whole device.
  instr.order = made.order == Order::Weak ? Order::Relaxed : made.order;
  instr.scope = made.scope == Scope::None ? Scope::Gpu : made.scope;
  size_t n = returns ? 1 : 0;
  decoder.address(instr, 1, statement.operands[n++], made.space);
  decoder.source(instr, 2, statement.operands[n], made.type);
  if (made.operation == "cas")
    decoder.source(instr, 3, statement.operands[++n], made.type);
  else
    instr.o[3] = kSink;
  instr.o[0] = kSink;
  if (returns)
    decoder.result(instr, 0, statement.operands[0], made.type);
}

} // namespace

void add_atomic_forms(FormTable &table) {
  table.add_family("atom", decode_atom);
  table.add_family("red", decode_atom);
}

QUERN_PTX_END

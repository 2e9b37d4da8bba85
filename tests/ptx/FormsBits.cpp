// Logic, shifts and bit fields: PTX ISA, sections 9.7.1 and 9.7.8.
#include "tests/ptx/Decode.h"
#include "tests/ptx/Lanes.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <string>

QUERN_PTX_BEGIN
namespace {

template <class T> constexpr u32 kBits = 8 * sizeof(T);

template <class T> void logic(FormTable &table, const std::string &bits) {
  table.add("and.b" + bits, lanes<[](T a, T b) { return static_cast<T>(a & b); }>());
  table.add("or.b" + bits, lanes<[](T a, T b) { return static_cast<T>(a | b); }>());
  table.add("xor.b" + bits, lanes<[](T a, T b) { return static_cast<T>(a ^ b); }>());
  table.add("not.b" + bits, lanes<[](T a) { return static_cast<T>(~a); }>());
  table.add("cnot.b" + bits, lanes<[](T a) { return static_cast<T>(a == 0 ? 1 : 0); }>());
  // A shift by more than there is shifts all out.
  table.add("shl.b" + bits, lanes<[](T a, u32 n) {
              return static_cast<T>(n >= kBits<T> ? T{0} : static_cast<T>(a << (n % kBits<T>)));
            }>());
  table.add("shr.u" + bits + " shr.b" + bits, lanes<[](T a, u32 n) {
              return static_cast<T>(n >= kBits<T> ? T{0} : static_cast<T>(a >> (n % kBits<T>)));
            }>());
  using S = std::make_signed_t<T>;
  table.add(
      "shr.s" + bits,
      lanes<[](S a, u32 n) { return static_cast<S>(a >> (n >= kBits<T> ? kBits<T> - 1 : n)); }>());
}

template <class T, bool kSigned> T field(T a, u32 position, u32 length) {
  position &= 0xff;
  length &= 0xff;
  T made = 0;
  // The sign is the field's last bit, or the number's where the field reaches beyond it.
  const u32 last = position + length == 0 ? 0 : std::min(position + length - 1, kBits<T> - 1);
  const T sign = kSigned && length != 0 && (a >> last & 1) != 0 ? static_cast<T>(~T{0}) : T{0};
  if (position < kBits<T>)
    made = static_cast<T>(a >> position);
  const u32 there = position >= kBits<T> ? 0 : std::min(length, kBits<T> - position);
  if (there >= kBits<T>)
    return made;
  const T low = static_cast<T>((T{1} << there) - 1);
  return static_cast<T>((made & low) | (sign & ~low));
}
template <class T> T insert(T a, T b, u32 position, u32 length) {
  position &= 0xff;
  length &= 0xff;
  if (position >= kBits<T> || length == 0)
    return b;
  const T low = length >= kBits<T> ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
  return static_cast<T>((b & ~(low << position)) | ((a & low) << position));
}
template <class T, bool kSigned, bool kShift> u32 find_most(T a) {
  if (kSigned && (a >> (kBits<T> - 1)) != 0)
    a = static_cast<T>(~a);
  if (a == 0)
    return ~0u;
  const u32 at = kBits<T> - 1 - static_cast<u32>(std::countl_zero(a));
  return kShift ? kBits<T> - 1 - at : at;
}
template <class T> T reversed(T a) {
  T made = 0;
  for (u32 n = 0; n < kBits<T>; ++n)
    made = static_cast<T>(made | ((a >> n & 1) << (kBits<T> - 1 - n)));
  return made;
}

template <class T> void fields(FormTable &table, const std::string &bits) {
  using S = std::make_signed_t<T>;
  table.add("bfe.u" + bits, lanes<[](T a, u32 b, u32 c) { return field<T, false>(a, b, c); }>());
  table.add("bfe.s" + bits, lanes<[](S a, u32 b, u32 c) {
              return static_cast<S>(field<T, true>(static_cast<T>(a), b, c));
            }>());
  table.add("bfi.b" + bits, lanes<[](T a, T b, u32 c, u32 d) { return insert<T>(a, b, c, d); }>());
  table.add("bfind.u" + bits, lanes<[](T a) { return find_most<T, false, false>(a); }>());
  table.add("bfind.s" + bits, lanes<[](T a) { return find_most<T, true, false>(a); }>());
  table.add("bfind.shiftamt.u" + bits, lanes<[](T a) { return find_most<T, false, true>(a); }>());
  table.add("bfind.shiftamt.s" + bits, lanes<[](T a) { return find_most<T, true, true>(a); }>());
  table.add("brev.b" + bits, lanes<[](T a) { return reversed<T>(a); }>());
  table.add("popc.b" + bits, lanes<[](T a) { return static_cast<u32>(std::popcount(a)); }>());
  table.add("clz.b" + bits, lanes<[](T a) { return static_cast<u32>(std::countl_zero(a)); }>());
}

// One byte of a selector: its number, and whether only its sign is wanted.
u32 permuted(u32 a, u32 b, u32 c) {
  const u64 both = u64{b} << 32 | a;
  u32 made = 0;
  for (u32 n = 0; n < 4; ++n) {
    const u32 which = c >> 4 * n;
    u32 byte = static_cast<u32>(both >> 8 * (which & 7)) & 0xff;
    if ((which & 8) != 0)
      byte = (byte & 0x80) != 0 ? 0xff : 0;
    made |= byte << 8 * n;
  }
  return made;
}
enum PermuteMode { kForward4, kBackward4, kReplicate8, kEdgeLeft, kEdgeRight, kReplicate16 };
template <PermuteMode kMode> u32 permuted_by(u32 a, u32 b, u32 c) {
  static constexpr u16 kSelectors[6][4] = {
      {0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123},
      {0x0000, 0x1111, 0x2222, 0x3333}, {0x3210, 0x3211, 0x3222, 0x3333},
      {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232}};
  return permuted(a, b, kSelectors[kMode][c & 3]);
}

// The truth table in bits: bit n is the result where a, b, c are the bits of n.
void lop3(Warp &warp, const Instr &instr, Mask mask) {
  const u32 *a = warp.reg<u32>(instr.o[1]), *b = warp.reg<u32>(instr.o[2]),
            *c = warp.reg<u32>(instr.o[3]);
  u32 term[8];
  for (int n = 0; n < 8; ++n)
    term[n] = (instr.imm >> n & 1) != 0 ? ~0u : 0;
  u32 made[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const u32 x = a[l], y = b[l], z = c[l];
    const u32 low = ((term[0] & ~z) | (term[1] & z)) & ~y;
    const u32 low2 = ((term[2] & ~z) | (term[3] & z)) & y;
    const u32 high = ((term[4] & ~z) | (term[5] & z)) & ~y;
    const u32 high2 = ((term[6] & ~z) | (term[7] & z)) & y;
    made[l] = ((low | low2) & ~x) | ((high | high2) & x);
  }
  store_lanes(warp, instr.o[0], mask, made);
}

void decode_lop3(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  if (statement.opcode != "lop3.b32")
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 5, 5);
  for (u32 n = 1; n < 4; ++n)
    decoder.source(instr, n, statement.operands[n], Type::B32);
  instr.imm = static_cast<i64>(decoder.constant(statement.operands[4]) & 0xff);
  instr.fn = lop3;
  decoder.result(instr, 0, statement.operands[0], Type::B32);
}

template <bool kLeft, bool kClamp> u32 funnel(u32 low, u32 high, u32 n) {
  n = kClamp ? std::min(n, 32u) : n & 31;
  const u64 both = u64{high} << 32 | low;
  return static_cast<u32>(kLeft ? both << n >> 32 : both >> n);
}

// Predicates are masks: all lanes at once.
enum Logic : u8 { kAnd, kOr, kXor, kNot, kMov };
template <Logic kLogic> void predicates(Warp &warp, const Instr &instr, Mask mask) {
  const Mask a = warp.pred(instr.o[1]);
  const Mask b = kLogic < kNot ? warp.pred(instr.o[2]) : 0;
  const Mask made = kLogic == kAnd   ? a & b
                    : kLogic == kOr  ? a | b
                    : kLogic == kXor ? a ^ b
                    : kLogic == kNot ? ~a
                                     : a;
  store_mask(warp, instr.o[0], mask, made);
}

} // namespace

void add_bit_forms(FormTable &table) {
  logic<u16>(table, "16");
  logic<u32>(table, "32");
  logic<u64>(table, "64");
  fields<u32>(table, "32");
  fields<u64>(table, "64");
  table.add("bmsk.clamp.b32", lanes<[](u32 a, u32 b) {
              return a > 31 ? 0u : static_cast<u32>(((u64{1} << std::min(b, 32u)) - 1) << a);
            }>());
  table.add("bmsk.wrap.b32", lanes<[](u32 a, u32 b) {
              return static_cast<u32>(((u64{1} << (b & 31)) - 1) << (a & 31));
            }>());
  table.add("fns.b32", lanes<[](u32 mask, u32 base, i32 offset) {
              if (offset == 0)
                return (mask >> (base & 31) & 1) != 0 ? base & 31 : ~0u;
              int left = offset < 0 ? -offset : offset;
              for (int at = static_cast<int>(base & 31); at >= 0 && at < 32;
                   at += offset < 0 ? -1 : 1)
                if ((mask >> at & 1) != 0 && --left == 0)
                  return static_cast<u32>(at);
              return ~0u;
            }>());
  table.add("prmt.b32", lanes<[](u32 a, u32 b, u32 c) { return permuted(a, b, c); }>());
  table.add("prmt.b32.f4e",
            lanes<[](u32 a, u32 b, u32 c) { return permuted_by<kForward4>(a, b, c); }>());
  table.add("prmt.b32.b4e",
            lanes<[](u32 a, u32 b, u32 c) { return permuted_by<kBackward4>(a, b, c); }>());
  table.add("prmt.b32.rc8",
            lanes<[](u32 a, u32 b, u32 c) { return permuted_by<kReplicate8>(a, b, c); }>());
  table.add("prmt.b32.ecl",
            lanes<[](u32 a, u32 b, u32 c) { return permuted_by<kEdgeLeft>(a, b, c); }>());
  table.add("prmt.b32.ecr",
            lanes<[](u32 a, u32 b, u32 c) { return permuted_by<kEdgeRight>(a, b, c); }>());
  table.add("prmt.b32.rc16",
            lanes<[](u32 a, u32 b, u32 c) { return permuted_by<kReplicate16>(a, b, c); }>());
  table.add("shf.l.clamp.b32",
            lanes<[](u32 a, u32 b, u32 c) { return funnel<true, true>(a, b, c); }>());
  table.add("shf.l.wrap.b32",
            lanes<[](u32 a, u32 b, u32 c) { return funnel<true, false>(a, b, c); }>());
  table.add("shf.r.clamp.b32",
            lanes<[](u32 a, u32 b, u32 c) { return funnel<false, true>(a, b, c); }>());
  table.add("shf.r.wrap.b32",
            lanes<[](u32 a, u32 b, u32 c) { return funnel<false, false>(a, b, c); }>());
  const Type p = Type::Pred;
  table.add("and.pred", {predicates<kAnd>, 0, {p, p, p}});
  table.add("or.pred", {predicates<kOr>, 0, {p, p, p}});
  table.add("xor.pred", {predicates<kXor>, 0, {p, p, p}});
  table.add("not.pred", {predicates<kNot>, 0, {p, p}});
  table.add("mov.pred", {predicates<kMov>, 0, {p, p}});
  table.add_family("lop3", decode_lop3);
}

QUERN_PTX_END

// Comparison and selection: PTX ISA, sections 9.7.6 and 9.7.7.
#include "tests/ptx/Decode.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Rounding.h"
#include "tests/ptx/Words.h"

#include <map>
#include <string>

QUERN_PTX_BEGIN
namespace {

// Two sources of a type, compared in all lanes.
using Comparison = Mask (*)(Warp &, const Instr &);

template <class T, auto F> Mask compared(Warp &warp, const Instr &instr) {
  const T *a = warp.reg<T>(instr.o[2]), *b = warp.reg<T>(instr.o[3]);
  u8 truths[kLanes];
  for (int l = 0; l < kLanes; ++l)
    truths[l] = F(a[l], b[l]) ? 1 : 0;
  return mask_of(truths);
}

struct Compared {
  Comparison comparison;
  Type type;
};
using Comparisons = std::map<std::string, Compared, std::less<>>;

template <class T, class V, auto kValue>
void orders(Comparisons &into, const std::string &type, bool floating, bool is_unsigned) {
  const Type name = TypeName<T>::value;
  into["eq." + type] = {compared<T, [](T a, T b) { return kValue(a) == kValue(b); }>, name};
  // A comparison that is not ordered does not hold with a NaN; ne does not either, only neu.
  into["ne." + type] = {compared<T,
                                 [](T a, T b) {
                                   const V x = kValue(a), y = kValue(b);
                                   return x != y && x == x && y == y;
                                 }>,
                        name};
  into["lt." + type] = {compared<T, [](T a, T b) { return kValue(a) < kValue(b); }>, name};
  into["le." + type] = {compared<T, [](T a, T b) { return kValue(a) <= kValue(b); }>, name};
  into["gt." + type] = {compared<T, [](T a, T b) { return kValue(a) > kValue(b); }>, name};
  into["ge." + type] = {compared<T, [](T a, T b) { return kValue(a) >= kValue(b); }>, name};
  if (is_unsigned)
    for (const auto &[other, as] :
         {std::pair("lo.", "lt."), {"ls.", "le."}, {"hi.", "gt."}, {"hs.", "ge."}})
      into[other + type] = into[as + type];
  if (!floating)
    return;
  into["equ." + type] = {compared<T,
                                  [](T a, T b) {
                                    const V x = kValue(a), y = kValue(b);
                                    return !(x < y || x > y);
                                  }>,
                         name};
  into["neu." + type] = {compared<T, [](T a, T b) { return !(kValue(a) == kValue(b)); }>, name};
  into["ltu." + type] = {compared<T, [](T a, T b) { return !(kValue(a) >= kValue(b)); }>, name};
  into["leu." + type] = {compared<T, [](T a, T b) { return !(kValue(a) > kValue(b)); }>, name};
  into["gtu." + type] = {compared<T, [](T a, T b) { return !(kValue(a) <= kValue(b)); }>, name};
  into["geu." + type] = {compared<T, [](T a, T b) { return !(kValue(a) < kValue(b)); }>, name};
  into["num." + type] = {compared<T,
                                  [](T a, T b) {
                                    const V x = kValue(a), y = kValue(b);
                                    return x == x && y == y;
                                  }>,
                         name};
  into["nan." + type] = {compared<T,
                                  [](T a, T b) {
                                    const V x = kValue(a), y = kValue(b);
                                    return x != x || y != y;
                                  }>,
                         name};
}

const Comparisons &comparisons() {
  static const Comparisons known = [] {
    Comparisons made;
    orders<u16, u16, [](u16 a) { return a; }>(made, "u16", false, true);
    orders<i16, i16, [](i16 a) { return a; }>(made, "s16", false, false);
    orders<u32, u32, [](u32 a) { return a; }>(made, "u32", false, true);
    orders<i32, i32, [](i32 a) { return a; }>(made, "s32", false, false);
    orders<u64, u64, [](u64 a) { return a; }>(made, "u64", false, true);
    orders<i64, i64, [](i64 a) { return a; }>(made, "s64", false, false);
    for (const char *bits : {"16", "32", "64"})
      for (const char *order : {"eq.", "ne."})
        made[concat(order, "b", bits)] = made[concat(order, "u", bits)];
    orders<float, float, [](float a) { return a; }>(made, "f32", true, false);
    orders<float, float, [](float a) { return flushed(a); }>(made, "ftz.f32", true, false);
    orders<double, double, [](double a) { return a; }>(made, "f64", true, false);
    orders<_Float16, float, [](_Float16 a) { return static_cast<float>(a); }>(made, "f16", true,
                                                                              false);
    orders<Bf16, float, [](Bf16 a) { return float_of(a); }>(made, "bf16", true, false);
    return made;
  }();
  return known;
}

enum Combine : u8 { kAlone, kAnd, kOr, kXor };

Mask combined(Warp &warp, const Instr &instr, Mask value) {
  switch (instr.sub) {
  case kAnd:
    return value & (warp.pred(instr.o[4]) ^ static_cast<Mask>(instr.imm));
  case kOr:
    return value | (warp.pred(instr.o[4]) ^ static_cast<Mask>(instr.imm));
  case kXor:
    return value ^ (warp.pred(instr.o[4]) ^ static_cast<Mask>(instr.imm));
  default:
    return value;
  }
}
void setp(Warp &warp, const Instr &instr, Mask mask) {
  const Mask value = reinterpret_cast<Comparison>(instr.function)(warp, instr);
  // Both results are made of the sources as they were.
  const Mask first = combined(warp, instr, value), second = combined(warp, instr, ~value);
  store_mask(warp, instr.o[1], mask, second);
  store_mask(warp, instr.o[0], mask, first);
}
template <bool kFloat> void set(Warp &warp, const Instr &instr, Mask mask) {
  const Mask value =
      combined(warp, instr, reinterpret_cast<Comparison>(instr.function)(warp, instr));
  u32 made[kLanes];
  for (int l = 0; l < kLanes; ++l)
    made[l] = (value >> l & 1) == 0 ? 0 : kFloat ? 0x3f800000u : ~0u;
  store_lanes(warp, instr.o[0], mask, made);
}

// setp.CMP[.BOOL][.ftz].TYPE p[|q], a, b[, [!]c]; set.CMP[.BOOL][.ftz].DTYPE.TYPE d, a, b[, [!]c]
void decode_setp(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const bool is_set = parts[0] == "set";
  size_t at = 2;
  const auto next = [&](std::string_view part) {
    const bool is = at < parts.size() && parts[at] == part;
    at += is ? 1 : 0;
    return is;
  };
  instr.sub = next("and") ? kAnd : next("or") ? kOr : next("xor") ? kXor : kAlone;
  const bool flush = next("ftz");
  Type made = Type::Pred;
  if (is_set) {
    made = at < parts.size() ? type_of(parts[at++]) : Type::None;
    if (made != Type::U32 && made != Type::S32 && made != Type::F32)
      decoder.refuse(concat("unknown form ", statement.opcode));
  }
  const std::string name = parts.size() < 3 || at + 1 != parts.size()
                               ? std::string()
                               : concat(parts[1], flush ? ".ftz." : ".", parts[at]);
  const auto known = comparisons().find(name);
  if (known == comparisons().end())
    decoder.refuse(concat("unknown form ", statement.opcode));
  const bool halves = known->second.type == Type::F16 || known->second.type == Type::BF16;
  if (halves && (made == Type::F32 || statement.operands[0].kind == Operand::Kind::Pair))
    decoder.refuse(concat("unknown form ", statement.opcode, " of such a result"));
  decoder.operands(statement, instr.sub == kAlone ? 3 : 4, instr.sub == kAlone ? 3 : 4);
  instr.function = reinterpret_cast<void (*)()>(known->second.comparison);
  decoder.source(instr, 2, statement.operands[1], known->second.type);
  decoder.source(instr, 3, statement.operands[2], known->second.type);
  if (instr.sub != kAlone) {
    Operand third = statement.operands[3];
    instr.imm = third.negated ? static_cast<i64>(kAllLanes) : 0;
    third.negated = false;
    decoder.source(instr, 4, third, Type::Pred);
  }
  const Operand &to = statement.operands[0];
  instr.o[1] = kSink;
  if (is_set) {
    instr.fn = made == Type::F32 ? set<true> : set<false>;
    decoder.result(instr, 0, to, made);
    return;
  }
  instr.fn = setp;
  if (to.kind == Operand::Kind::Pair) {
    decoder.result(instr, 0, to.parts[0], Type::Pred);
    decoder.result(instr, 1, to.parts[1], Type::Pred);
  } else {
    decoder.result(instr, 0, to, Type::Pred);
  }
}

template <class T> T select(T a, T b, bool first) { return first ? a : b; }

} // namespace

void add_compare_forms(FormTable &table) {
  table.add("selp.b16 selp.u16 selp.s16",
            lanes<[](u16 a, u16 b, bool p) { return select(a, b, p); }>());
  table.add("selp.b32 selp.u32 selp.s32",
            lanes<[](u32 a, u32 b, bool p) { return select(a, b, p); }>());
  table.add("selp.b64 selp.u64 selp.s64",
            lanes<[](u64 a, u64 b, bool p) { return select(a, b, p); }>());
  table.add("selp.f32", lanes<[](float a, float b, bool p) { return select(a, b, p); }>());
  table.add("selp.f64", lanes<[](double a, double b, bool p) { return select(a, b, p); }>());
  table.add("slct.b32.s32 slct.u32.s32 slct.s32.s32",
            lanes<[](u32 a, u32 b, i32 c) { return select(a, b, c >= 0); }>());
  table.add("slct.b64.s32 slct.u64.s32 slct.s64.s32",
            lanes<[](u64 a, u64 b, i32 c) { return select(a, b, c >= 0); }>());
  table.add("slct.f32.s32", lanes<[](float a, float b, i32 c) { return select(a, b, c >= 0); }>());
  table.add("slct.b32.f32 slct.u32.f32 slct.s32.f32",
            lanes<[](u32 a, u32 b, float c) { return select(a, b, c >= 0); }>());
  table.add("slct.f32.f32",
            lanes<[](float a, float b, float c) { return select(a, b, c >= 0); }>());
  table.add("slct.ftz.f32.f32",
            lanes<[](float a, float b, float c) { return select(a, b, flushed(c) >= 0); }>());
  table.add_family("setp", decode_setp);
  table.add_family("set", decode_setp);
}

QUERN_PTX_END

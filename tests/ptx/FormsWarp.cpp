// What lanes of a warp do together: PTX ISA, sections 9.7.9.6 (shfl) and 9.7.13 (vote, match,
// redux, activemask, elect).
#include "tests/ptx/Decode.h"
#include "tests/ptx/Execute.h"
#include "tests/ptx/Lanes.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <string>

QUERN_PTX_BEGIN
namespace {

// Lanes by the members they name, each set together once all of it has come.
template <class Do> void with_members(Warp &warp, Mask mask, u32 slot, Do together) {
  const u32 *names = warp.reg<u32>(slot);
  for (Mask rest = mask; rest != 0;) {
    const Mask named = names[std::countr_zero(rest)];
    Mask same = 0;
    for (int l = 0; l < kLanes; ++l)
      same |= static_cast<Mask>(names[l] == named) << l;
    same &= rest;
    const Mask all = meet(warp, same, named, true);
    if (all == 0)
      return;
    together(all);
    rest &= ~same;
  }
}

// What a lane gets from one that does not take part: PTX leaves it open, so nothing may depend on
// it.
constexpr u32 kNobody = 0xbaadf00d;

enum Shuffle : u8 { kUp, kDown, kButterfly, kIndex };

template <Shuffle kMode> void shuffle(Warp &warp, const Instr &instr, Mask mask) {
  with_members(warp, mask, instr.o[5], [&](Mask all) {
    const u32 *a = warp.reg<u32>(instr.o[2]), *b = warp.reg<u32>(instr.o[3]),
              *c = warp.reg<u32>(instr.o[4]);
    u32 made[kLanes];
    Mask in_range = 0;
    for (u32 l = 0; l < kLanes; ++l) {
      const u32 segment = c[l] >> 8 & 31, clamp = c[l] & 31, n = b[l] & 31;
      const u32 most = (l & segment) | (clamp & ~segment), least = l & segment;
      const i32 from = kMode == kUp          ? static_cast<i32>(l) - static_cast<i32>(n)
                       : kMode == kDown      ? static_cast<i32>(l + n)
                       : kMode == kButterfly ? static_cast<i32>(l ^ n)
                                             : static_cast<i32>(least | (n & ~segment));
      const bool in =
          kMode == kUp ? from >= static_cast<i32>(most) : from <= static_cast<i32>(most);
      const u32 lane = in ? static_cast<u32>(from) & 31 : l;
      in_range |= static_cast<Mask>(in) << l;
      made[l] = (all >> lane & 1) != 0 ? a[lane] : kNobody;
    }
    store_lanes(warp, instr.o[0], all, made);
    store_mask(warp, instr.o[1], all, in_range);
  });
}

// shfl.sync.MODE.b32 d[|p], a, b, c, members
void decode_shfl(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  if (parts.size() != 4 || parts[1] != "sync" || parts[3] != "b32")
    decoder.refuse(concat("unknown form ", statement.opcode));
  instr.fn = parts[2] == "up"     ? shuffle<kUp>
             : parts[2] == "down" ? shuffle<kDown>
             : parts[2] == "bfly" ? shuffle<kButterfly>
             : parts[2] == "idx"  ? shuffle<kIndex>
                                  : nullptr;
  if (instr.fn == nullptr)
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 5, 5);
  for (u32 n = 1; n < 5; ++n)
    decoder.source(instr, n + 1, statement.operands[n], Type::B32);
  const Operand &to = statement.operands[0];
  instr.o[1] = kSink + 128;
  decoder.result(instr, 0, to.kind == Operand::Kind::Pair ? to.parts[0] : to, Type::B32);
  if (to.kind == Operand::Kind::Pair)
    decoder.result(instr, 1, to.parts[1], Type::Pred);
}

enum Vote : u8 { kAll, kAny, kUni, kBallot };

void vote(Warp &warp, const Instr &instr, Mask mask) {
  with_members(warp, mask, instr.o[2], [&](Mask all) {
    const Mask votes = (warp.pred(instr.o[1]) ^ static_cast<Mask>(instr.imm)) & all;
    if (instr.sub == kBallot) {
      u32 made[kLanes];
      for (u32 &lane : made)
        lane = votes;
      store_lanes(warp, instr.o[0], all, made);
      return;
    }
    const bool holds = instr.sub == kAll   ? votes == all
                       : instr.sub == kAny ? votes != 0
                                           : votes == all || votes == 0;
    store_mask(warp, instr.o[0], all, holds ? kAllLanes : 0);
  });
}

void decode_vote(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const bool known = parts.size() == 4 && parts[1] == "sync";
  instr.sub = !known                 ? u8{9}
              : parts[2] == "all"    ? kAll
              : parts[2] == "any"    ? kAny
              : parts[2] == "uni"    ? kUni
              : parts[2] == "ballot" ? kBallot
                                     : u8{9};
  if (instr.sub == 9 || parts[3] != (instr.sub == kBallot ? "b32" : "pred"))
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 3, 3);
  instr.fn = vote;
  Operand from = statement.operands[1];
  instr.imm = from.negated ? static_cast<i64>(kAllLanes) : 0;
  from.negated = false;
  decoder.source(instr, 1, from, Type::Pred);
  decoder.source(instr, 2, statement.operands[2], Type::B32);
  decoder.result(instr, 0, statement.operands[0], instr.sub == kBallot ? Type::B32 : Type::Pred);
}

template <class T, bool kAllSame> void match(Warp &warp, const Instr &instr, Mask mask) {
  with_members(warp, mask, instr.o[3], [&](Mask all) {
    const T *a = warp.reg<T>(instr.o[2]);
    u32 made[kLanes];
    bool one = true;
    const T first = a[std::countr_zero(all)];
    for (int l = 0; l < kLanes; ++l) {
      Mask same = 0;
      for (int k = 0; k < kLanes; ++k)
        same |= static_cast<Mask>(a[k] == a[l]) << k;
      made[l] = same & all;
      one &= (all >> l & 1) == 0 || a[l] == first;
    }
    if (kAllSame)
      for (u32 &lane : made)
        lane = one ? all : 0;
    store_lanes(warp, instr.o[0], all, made);
    store_mask(warp, instr.o[1], all, one ? kAllLanes : 0);
  });
}

void decode_match(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const bool known = parts.size() == 4 && (parts[1] == "any" || parts[1] == "all") &&
                     parts[2] == "sync" && (parts[3] == "b32" || parts[3] == "b64");
  if (!known)
    decoder.refuse(concat("unknown form ", statement.opcode));
  const bool all = parts[1] == "all", wide = parts[3] == "b64";
  decoder.operands(statement, 3, 3);
  instr.fn = all ? (wide ? match<u64, true> : match<u32, true>)
                 : (wide ? match<u64, false> : match<u32, false>);
  decoder.source(instr, 2, statement.operands[1], wide ? Type::B64 : Type::B32);
  decoder.source(instr, 3, statement.operands[2], Type::B32);
  const Operand &to = statement.operands[0];
  if (!all && to.kind == Operand::Kind::Pair)
    decoder.refuse(concat("unknown form ", statement.opcode, " of two results"));
  instr.o[1] = kSink + 128;
  decoder.result(instr, 0, to.kind == Operand::Kind::Pair ? to.parts[0] : to, Type::B32);
  if (to.kind == Operand::Kind::Pair)
    decoder.result(instr, 1, to.parts[1], Type::Pred);
}

template <class T, auto F> void reduce(Warp &warp, const Instr &instr, Mask mask) {
  with_members(warp, mask, instr.o[2], [&](Mask all) {
    const T *a = warp.reg<T>(instr.o[1]);
    T sum = a[std::countr_zero(all)];
    for (Mask rest = all & (all - 1); rest != 0; rest &= rest - 1)
      sum = F(sum, a[std::countr_zero(rest)]);
    T made[kLanes];
    for (T &lane : made)
      lane = sum;
    store_lanes(warp, instr.o[0], all, made);
  });
}

struct Reduction {
  std::string_view name;
  Handler handler;
};
constexpr Reduction kReductions[] = {
    {"redux.sync.add.u32", reduce<u32, [](u32 a, u32 b) { return a + b; }>},
    {"redux.sync.add.s32", reduce<u32, [](u32 a, u32 b) { return a + b; }>},
    {"redux.sync.min.u32", reduce<u32, [](u32 a, u32 b) { return a < b ? a : b; }>},
    {"redux.sync.max.u32", reduce<u32, [](u32 a, u32 b) { return a > b ? a : b; }>},
    {"redux.sync.min.s32", reduce<i32, [](i32 a, i32 b) { return a < b ? a : b; }>},
    {"redux.sync.max.s32", reduce<i32, [](i32 a, i32 b) { return a > b ? a : b; }>},
    {"redux.sync.and.b32", reduce<u32, [](u32 a, u32 b) { return a & b; }>},
    {"redux.sync.or.b32", reduce<u32, [](u32 a, u32 b) { return a | b; }>},
    {"redux.sync.xor.b32", reduce<u32, [](u32 a, u32 b) { return a ^ b; }>}};

void decode_redux(Decoder &decoder, const Statement &statement, const Parts &, Instr &instr) {
  for (const Reduction &known : kReductions)
    if (known.name == statement.opcode)
      instr.fn = known.handler;
  if (instr.fn == nullptr)
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 3, 3);
  decoder.source(instr, 1, statement.operands[1], Type::B32);
  decoder.source(instr, 2, statement.operands[2], Type::B32);
  decoder.result(instr, 0, statement.operands[0], Type::B32);
}

void decode_activemask(Decoder &decoder, const Statement &statement, const Parts &, Instr &instr) {
  if (statement.opcode != "activemask.b32")
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 1, 1);
  instr.fn = [](Warp &warp, const Instr &made, Mask mask) {
    u32 all[kLanes];
    for (u32 &lane : all)
      lane = mask;
    store_lanes(warp, made.o[0], mask, all);
  };
  decoder.result(instr, 0, statement.operands[0], Type::B32);
}

// elect.sync d|p, members: the first of them.
void decode_elect(Decoder &decoder, const Statement &statement, const Parts &, Instr &instr) {
  if (statement.opcode != "elect.sync" || statement.operands.size() != 2 ||
      statement.operands[0].kind != Operand::Kind::Pair)
    decoder.refuse(concat("unknown form ", statement.opcode));
  instr.fn = [](Warp &warp, const Instr &made, Mask mask) {
    with_members(warp, mask, made.o[2], [&](Mask all) {
      u32 first[kLanes];
      for (u32 &lane : first)
        lane = static_cast<u32>(std::countr_zero(all));
      store_lanes(warp, made.o[0], all, first);
      store_mask(warp, made.o[1], all, all & (~all + 1));
    });
  };
  decoder.source(instr, 2, statement.operands[1], Type::B32);
  decoder.result(instr, 0, statement.operands[0].parts[0], Type::B32);
  decoder.result(instr, 1, statement.operands[0].parts[1], Type::Pred);
}

} // namespace

void add_warp_forms(FormTable &table) {
  table.add_family("shfl", decode_shfl);
  table.add_family("vote", decode_vote);
  table.add_family("match", decode_match);
  table.add_family("redux", decode_redux);
  table.add_family("activemask", decode_activemask);
  table.add_family("elect", decode_elect);
}

QUERN_PTX_END

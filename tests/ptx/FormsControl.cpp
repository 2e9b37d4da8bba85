#include "tests/ptx/FormsControl.h"

#include "tests/ptx/Decode.h"
#include "tests/ptx/Execute.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <cstring>

namespace quern::ptx {
namespace {

// Special registers: PTX ISA, chapter 10. Clocks count the instructions of the launch, so that
// nothing depends on time.
enum Special : u8 {
  kTid,
  kNtid,
  kCtaid,
  kNctaid,
  kLane,
  kWarp,
  kWarps,
  kMaskEq,
  kMaskLt,
  kMaskLe,
  kMaskGt,
  kMaskGe,
  kSm,
  kSms,
  kClock,
  kZero,
  kOne,
  kDynamicShared,
  kTotalShared
};

struct SpecialName {
  std::string_view name;
  Special which;
  Type type;
  u8 dimension = 0;
};
constexpr SpecialName kSpecials[] = {{"%tid.x", kTid, Type::U32, 0},
                                     {"%tid.y", kTid, Type::U32, 1},
                                     {"%tid.z", kTid, Type::U32, 2},
                                     {"%ntid.x", kNtid, Type::U32, 0},
                                     {"%ntid.y", kNtid, Type::U32, 1},
                                     {"%ntid.z", kNtid, Type::U32, 2},
                                     {"%ctaid.x", kCtaid, Type::U32, 0},
                                     {"%ctaid.y", kCtaid, Type::U32, 1},
                                     {"%ctaid.z", kCtaid, Type::U32, 2},
                                     {"%nctaid.x", kNctaid, Type::U32, 0},
                                     {"%nctaid.y", kNctaid, Type::U32, 1},
                                     {"%nctaid.z", kNctaid, Type::U32, 2},
                                     {"%laneid", kLane, Type::U32},
                                     {"%warpid", kWarp, Type::U32},
                                     {"%nwarpid", kWarps, Type::U32},
                                     {"%lanemask_eq", kMaskEq, Type::U32},
                                     {"%lanemask_lt", kMaskLt, Type::U32},
                                     {"%lanemask_le", kMaskLe, Type::U32},
                                     {"%lanemask_gt", kMaskGt, Type::U32},
                                     {"%lanemask_ge", kMaskGe, Type::U32},
                                     {"%smid", kSm, Type::U32},
                                     {"%nsmid", kSms, Type::U32},
                                     {"%clock", kClock, Type::U32},
                                     {"%clock_hi", kZero, Type::U32},
                                     {"%clock64", kClock, Type::U64},
                                     {"%globaltimer", kClock, Type::U64},
                                     {"%globaltimer_lo", kClock, Type::U32},
                                     {"%globaltimer_hi", kZero, Type::U32},
                                     {"%dynamic_smem_size", kDynamicShared, Type::U32},
                                     {"%total_smem_size", kTotalShared, Type::U32},
                                     // A launch without clusters has clusters of one block.
                                     {"%cluster_ctarank", kZero, Type::U32},
                                     {"%cluster_nctarank", kOne, Type::U32},
                                     {"%cluster_ctaid.x", kZero, Type::U32},
                                     {"%cluster_ctaid.y", kZero, Type::U32},
                                     {"%cluster_ctaid.z", kZero, Type::U32},
                                     {"%cluster_nctaid.x", kOne, Type::U32},
                                     {"%cluster_nctaid.y", kOne, Type::U32},
                                     {"%cluster_nctaid.z", kOne, Type::U32}};

u64 special_value(const Warp &warp, Special which, int dimension, u32 lane) {
  const Block &block = *warp.block;
  Launch &launch = *warp.launch;
  switch (which) {
  case kTid:
    return warp.tid[dimension][lane];
  case kNtid:
    return launch.size[dimension];
  case kCtaid:
    return block.id[dimension];
  case kNctaid:
    return launch.grid[dimension];
  case kLane:
    return lane;
  case kWarp:
    return static_cast<u32>(warp.index);
  case kWarps:
    return block.warps.size();
  case kMaskEq:
    return u32{1} << lane;
  case kMaskLt:
    return (u32{1} << lane) - 1;
  case kMaskLe:
    return static_cast<u32>((u64{2} << lane) - 1);
  case kMaskGt:
    return static_cast<u32>(~((u64{2} << lane) - 1));
  case kMaskGe:
    return ~((u32{1} << lane) - 1);
  case kSm:
    return block.index % launch.multiprocessors;
  case kSms:
    return launch.multiprocessors;
  case kClock:
    return launch.executed + ++launch.clock;
  case kZero:
    return 0;
  case kOne:
    return 1;
  case kDynamicShared:
    return launch.dynamic_shared;
  case kTotalShared:
    return launch.shared_bytes;
  }
  return 0;
}

template <class T> void read_special(Warp &warp, const Instr &instr, Mask mask) {
  T *to = warp.reg<T>(instr.o[0]);
  for (u32 l = 0; l < kLanes; ++l)
    if ((mask >> l & 1) != 0)
      to[l] = static_cast<T>(
          special_value(warp, static_cast<Special>(instr.sub), static_cast<int>(instr.imm), l));
}

void negate_predicate(Warp &warp, const Instr &instr, Mask mask) {
  Mask &to = warp.pred(instr.o[0]);
  to = (to & ~mask) | (~warp.pred(instr.o[1]) & mask);
}

void nothing(Warp &, const Instr &, Mask) {}

// ---- Jumps

void require(Decoder &decoder, const Statement &statement, const Parts &parts,
             std::initializer_list<std::string_view> known) {
  for (size_t n = 1; n < parts.size(); ++n) {
    bool found = false;
    for (std::string_view one : known)
      found |= one == parts[n];
    if (!found)
      decoder.refuse(concat("unknown form ", statement.opcode, ": .", parts[n]));
  }
}

void decode_bra(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  require(decoder, statement, parts, {"uni"});
  decoder.operands(statement, 1, 1);
  instr.fn = branch;
  Step step;
  step.next = false;
  decoder.jump(statement.operands[0], step.targets);
  decoder.step(std::move(step));
}

void decode_brx(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  require(decoder, statement, parts, {"idx", "uni"});
  decoder.operands(statement, 2, 2);
  instr.fn = branch_indexed;
  decoder.source(instr, 0, statement.operands[0], Type::U32);
  Step step;
  step.next = false;
  if (statement.operands[1].kind != Operand::Kind::Word)
    decoder.refuse("brx.idx without a table of labels");
  for (const std::string &name : decoder.branch_table(statement.operands[1].text)) {
    Operand label;
    label.kind = Operand::Kind::Word;
    label.text = name;
    decoder.jump(label, step.targets);
  }
  decoder.step(std::move(step));
}

void decode_ret(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  if (parts[0] == "exit")
    require(decoder, statement, parts, {});
  else
    require(decoder, statement, parts, {"uni"});
  decoder.operands(statement, 0, 0);
  instr.fn = parts[0] == "exit" ? exit_lanes : return_from;
  Step step;
  step.next = false;
  decoder.step(std::move(step));
}

void decode_call(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  require(decoder, statement, parts, {"uni"});
  decoder.operands(statement, 1, 3);
  instr.fn = call;
  Call &made = decoder.call();
  size_t n = 0;
  const auto list = [&](bool results) {
    for (const Operand &part : statement.operands[n].parts)
      decoder.passed(part, made, results);
    ++n;
  };
  if (statement.operands[0].kind == Operand::Kind::List)
    list(true);
  if (n >= statement.operands.size() || statement.operands[n].kind != Operand::Kind::Word)
    decoder.refuse("a call that names no function: calls through registers are not known");
  made.name = statement.operands[n++].text;
  if (n < statement.operands.size() && statement.operands[n].kind == Operand::Kind::List)
    list(false);
  if (n != statement.operands.size())
    decoder.refuse("a call of unknown form");
  instr.aux = &made;
}

void trap(Warp &, const Instr &instr, Mask mask) {
  throw Fault{"trap", "the kernel executed trap", std::countr_zero(mask)};
}

void decode_trap(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  require(decoder, statement, parts, {});
  decoder.operands(statement, 0, 0);
  instr.fn = trap;
}

// ---- Barriers

void barrier(Warp &warp, const Instr &instr, Mask mask) {
  const int lane = std::countr_zero(mask);
  const u32 number = warp.reg<u32>(instr.o[1])[lane];
  const u32 threads = instr.count != 0 ? warp.reg<u32>(instr.o[2])[lane] : 0;
  if (threads % kLanes != 0)
    throw Fault{"barrier", concat("a barrier for ", threads, " threads, which are not whole warps"),
                lane};
  if (instr.sub != kBarrierOnly) {
    if (number >= std::size(warp.block->barriers))
      throw Fault{"barrier", concat("there is no barrier ", number), lane};
    const Mask votes = (warp.pred(instr.o[3]) ^ static_cast<Mask>(instr.imm)) & mask;
    warp.block->barriers[number].votes += static_cast<u32>(std::popcount(votes));
  }
  arrive_at_barrier(warp, instr, mask, number, threads, instr.bytes != 0, instr.read_only);
}

// bar{.cta}.sync, .arrive, .red; barrier is the same, where lanes of a warp need not come together.
void decode_bar(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  size_t at = 1;
  const auto next = [&](std::string_view part) {
    const bool is = at < parts.size() && parts[at] == part;
    at += is ? 1 : 0;
    return is;
  };
  if (next("warp")) {
    if (!next("sync") || at != parts.size())
      decoder.refuse(concat("unknown form ", statement.opcode));
    decoder.operands(statement, 1, 1);
    instr.fn = [](Warp &warp, const Instr &made, Mask mask) {
      const Mask named = warp.reg<u32>(made.o[1])[std::countr_zero(mask)];
      const Mask all = meet(warp, mask, named, false);
      if (all != 0 && warp.launch->observer != nullptr)
        warp.launch->observer->warp_sync(warp, all);
    };
    decoder.source(instr, 1, statement.operands[0], Type::B32);
    return;
  }
  next("cta");
  instr.fn = barrier;
  instr.sub = kBarrierOnly;
  instr.bytes = 1; // waits
  size_t sources = 0;
  if (next("red")) {
    instr.sub = next("popc")  ? kBarrierCount
                : next("and") ? kBarrierAnd
                : next("or")  ? kBarrierOr
                              : kBarrierOnly;
    if (instr.sub == kBarrierOnly)
      decoder.refuse(concat("unknown form ", statement.opcode));
  } else if (next("arrive")) {
    instr.bytes = 0;
  } else if (!next("sync")) {
    decoder.refuse(concat("unknown form ", statement.opcode));
  }
  const bool aligned = parts[0] == "barrier" && next("aligned");
  if (instr.sub != kBarrierOnly && !next(instr.sub == kBarrierCount ? "u32" : "pred"))
    decoder.refuse(concat("unknown form ", statement.opcode));
  if (at != parts.size())
    decoder.refuse(concat("unknown form ", statement.opcode, ": .", parts[at]));
  instr.read_only = aligned || parts[0] == "bar";
  const auto &from = statement.operands;
  if (instr.sub == kBarrierOnly) {
    decoder.operands(statement, instr.bytes != 0 ? 1 : 2, 2);
  } else {
    decoder.operands(statement, 3, 4);
    decoder.update(instr, 0, from[0], instr.sub == kBarrierCount ? Type::U32 : Type::Pred);
    sources = 1;
    Operand vote = from.back();
    instr.imm = vote.negated ? static_cast<i64>(kAllLanes) : 0;
    vote.negated = false;
    decoder.source(instr, 3, vote, Type::Pred);
  }
  decoder.source(instr, 1, from[sources], Type::U32);
  const size_t counted = sources + 1 + (instr.sub == kBarrierOnly ? 0 : 1);
  instr.count = from.size() > counted ? 1 : 0;
  if (instr.count != 0)
    decoder.source(instr, 2, from[sources + 1], Type::U32);
}

void decode_nanosleep(Decoder &decoder, const Statement &statement, const Parts &parts,
                      Instr &instr) {
  if (statement.opcode != "nanosleep.u32")
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 1, 1);
  decoder.source(instr, 1, statement.operands[0], Type::U32);
  instr.fn = [](Warp &warp, const Instr &, Mask) { yield(warp); };
}

// What asks for nothing that can be seen.
void decode_hint(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  if (statement.opcode == "griddepcontrol.launch_dependents" ||
      statement.opcode == "griddepcontrol.wait") {
    decoder.operands(statement, 0, 0);
  } else if (statement.opcode == "setmaxnreg.inc.sync.aligned.u32" ||
             statement.opcode == "setmaxnreg.dec.sync.aligned.u32") {
    decoder.operands(statement, 1, 1);
    const u64 registers = decoder.constant(statement.operands[0]);
    if (registers < 24 || registers > 256 || registers % 8 != 0)
      decoder.refuse(concat(statement.opcode, " of ", registers, " registers"));
  } else {
    decoder.refuse(concat("unknown form ", statement.opcode));
  }
  instr.fn = nothing;
}

} // namespace

Type special_register(std::string_view name, Instr &instr) {
  for (const SpecialName &known : kSpecials) {
    if (known.name != name)
      continue;
    instr.fn = known.type == Type::U64 ? read_special<u64> : read_special<u32>;
    instr.sub = known.which;
    instr.imm = known.dimension;
    instr.name = known.name.data();
    return known.type;
  }
  return Type::None;
}

Instr negated_predicate() {
  Instr made;
  made.fn = negate_predicate;
  made.name = "not.pred";
  return made;
}

void add_control_forms(FormTable &table) {
  table.add_family("bra", decode_bra);
  table.add_family("brx", decode_brx);
  table.add_family("ret", decode_ret);
  table.add_family("exit", decode_ret);
  table.add_family("call", decode_call);
  table.add_family("trap", decode_trap);
  table.add_family("bar", decode_bar);
  table.add_family("barrier", decode_bar);
  table.add_family("nanosleep", decode_nanosleep);
  table.add_family("setmaxnreg", decode_hint);
  table.add_family("griddepcontrol", decode_hint);
}

} // namespace quern::ptx

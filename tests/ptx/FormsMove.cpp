// Moves, packing and unpacking of registers, addresses of spaces: PTX ISA, section 9.7.9.
#include "tests/ptx/Decode.h"
#include "tests/ptx/Lanes.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Memory.h"
#include "tests/ptx/Words.h"

#include <cstring>
#include <string>

QUERN_PTX_BEGIN
namespace {

// Parts of instr.bytes each, in lanes, to and from one register of count parts.
template <class Whole, class Part> void pack(Warp &warp, const Instr &instr, Mask mask) {
  constexpr int kParts = sizeof(Whole) / sizeof(Part);
  Whole made[kLanes] = {};
  for (int n = 0; n < kParts; ++n) {
    const Part *from = warp.reg<Part>(instr.o[1 + n]);
    for (int l = 0; l < kLanes; ++l)
      made[l] = static_cast<Whole>(made[l] | static_cast<Whole>(from[l])
                                                 << (8 * sizeof(Part) * static_cast<size_t>(n)));
  }
  store_lanes(warp, instr.o[0], mask, made);
}
template <class Whole, class Part> void unpack(Warp &warp, const Instr &instr, Mask mask) {
  constexpr int kParts = sizeof(Whole) / sizeof(Part);
  Part made[kParts][kLanes];
  const Whole *from = warp.reg<Whole>(instr.o[kParts]);
  for (int n = 0; n < kParts; ++n)
    for (int l = 0; l < kLanes; ++l)
      made[n][l] = static_cast<Part>(from[l] >> (8 * sizeof(Part) * static_cast<size_t>(n)));
  for (int n = 0; n < kParts; ++n)
    store_lanes(warp, instr.o[n], mask, made[n]);
}

Handler packer(int whole, size_t parts, bool packs) {
  if (whole == 4 && parts == 2)
    return packs ? pack<u32, u16> : unpack<u32, u16>;
  if (whole == 8 && parts == 2)
    return packs ? pack<u64, u32> : unpack<u64, u32>;
  if (whole == 8 && parts == 4)
    return packs ? pack<u64, u16> : unpack<u64, u16>;
  return nullptr;
}

void decode_mov(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const Type type = parts.size() == 2 ? type_of(parts[1]) : Type::None;
  decoder.operands(statement, 2, 2);
  const Operand &to = statement.operands[0], &from = statement.operands[1];
  const bool packs = from.kind == Operand::Kind::Vector;
  const bool bits = type == Type::B32 || type == Type::B64;
  if (!bits || (to.kind != Operand::Kind::Vector && !packs) ||
      (to.kind == Operand::Kind::Vector && packs))
    decoder.refuse(concat("unknown form ", statement.opcode));
  const auto &list = packs ? from.parts : to.parts;
  instr.fn = packer(bytes_of(type), list.size(), packs);
  if (instr.fn == nullptr)
    decoder.refuse(concat("unknown form ", statement.opcode, " with ", list.size(), " parts"));
  const Type part = bytes_of(type) / static_cast<int>(list.size()) == 2 ? Type::B16 : Type::B32;
  const Type whole = bytes_of(type) == 8 ? Type::B64 : Type::B32;
  u32 slot = packs ? 1 : 0;
  if (packs) {
    for (const Operand &one : list)
      decoder.source(instr, slot++, one, part);
    decoder.result(instr, 0, to, whole);
  } else {
    decoder.source(instr, static_cast<u32>(list.size()), from, whole);
    for (const Operand &one : list)
      decoder.result(instr, slot++, one, part);
  }
}

u64 window_of(std::string_view space) {
  return space == "shared" || space == "shared::cta" || space == "shared::cluster" ? kSharedWindow
         : space == "local"                                                        ? kLocalWindow
         : space == "param" || space == "param::entry"                             ? kParamWindow
                                                                                   : 0;
}

template <bool kTo> void convert_address(Warp &warp, const Instr &instr, Mask mask) {
  const u64 *from = warp.reg<u64>(instr.o[1]);
  u64 made[kLanes];
  for (int l = 0; l < kLanes; ++l)
    made[l] = kTo ? from[l] - static_cast<u64>(instr.imm) : from[l] + static_cast<u64>(instr.imm);
  store_lanes(warp, instr.o[0], mask, made);
}

// cvta{.to}.SPACE.u64
void decode_cvta(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const bool to = parts.size() == 4 && parts[1] == "to";
  const std::string_view space = parts.size() >= 3 ? parts[parts.size() - 2] : "";
  const bool known = space == "global" || space == "const" || window_of(space) != 0;
  if (parts.size() != (to ? 4u : 3u) || parts.back() != "u64" || !known)
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 2, 2);
  instr.fn = to ? convert_address<true> : convert_address<false>;
  instr.imm = static_cast<i64>(window_of(space));
  decoder.source(instr, 1, statement.operands[1], Type::U64);
  decoder.result(instr, 0, statement.operands[0], Type::U64);
}

void decode_isspacep(Decoder &decoder, const Statement &statement, const Parts &parts,
                     Instr &instr) {
  const bool known = parts.size() == 2 &&
                     (parts[1] == "global" || parts[1] == "const" || window_of(parts[1]) != 0);
  if (!known)
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 2, 2);
  instr.imm = static_cast<i64>(window_of(parts[1]));
  instr.fn = [](Warp &warp, const Instr &made, Mask mask) {
    const u64 *from = warp.reg<u64>(made.o[1]);
    const u64 base = static_cast<u64>(made.imm);
    Mask in = 0;
    for (int l = 0; l < kLanes; ++l)
      if (base == 0 ? from[l] >= kDeviceBase : from[l] >= base && from[l] < base + kWindowBytes)
        in |= Mask{1} << l;
    store_mask(warp, made.o[0], mask, in);
  };
  decoder.source(instr, 1, statement.operands[1], Type::U64);
  decoder.result(instr, 0, statement.operands[0], Type::Pred);
}

} // namespace

void add_move_forms(FormTable &table) {
  table.add("mov.b16 mov.u16 mov.s16", lanes<[](u16 a) { return a; }>());
  table.add("mov.b32 mov.u32 mov.s32", lanes<[](u32 a) { return a; }>());
  table.add("mov.b64 mov.u64 mov.s64", lanes<[](u64 a) { return a; }>());
  table.add("mov.f32", lanes<[](float a) { return a; }>());
  table.add("mov.f64", lanes<[](double a) { return a; }>());
  table.add_family("mov", decode_mov);
  table.add_family("cvta", decode_cvta);
  table.add_family("isspacep", decode_isspacep);
}

QUERN_PTX_END

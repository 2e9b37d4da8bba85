// Loads, stores, prefetches and fences: PTX ISA, sections 9.7.9 and 9.7.13.
#include "tests/ptx/Decode.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Modifiers.h"
#include "tests/ptx/Resolve.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <cstring>

QUERN_PTX_BEGIN
namespace {

template <class T> T at(u64 host) {
  T value;
  std::memcpy(&value, reinterpret_cast<const void *>(host), sizeof value);
  return value;
}

// Elements of type M in memory, kCount a lane, to and from registers of type R, which may be wider.
template <class M, class R, int kCount> void load(Warp &warp, const Instr &instr, Mask mask) {
  Resolved from;
  resolve(warp, instr, mask, kCount, sizeof(M) * kCount, Access::Kind::Load, from);
  R made[kCount][kLanes];
  if (mask == kAllLanes) {
    if constexpr (kCount == 1 && sizeof(M) == sizeof(R)) {
      bool steps = true;
      for (int l = 1; l < kLanes; ++l)
        steps &= from.host[l] == from.host[0] + sizeof(M) * static_cast<u64>(l);
      if (steps) {
        std::memcpy(warp.reg<R>(instr.o[0]), reinterpret_cast<const void *>(from.host[0]),
                    sizeof(M) * kLanes);
        return;
      }
    }
    for (int l = 0; l < kLanes; ++l)
      for (int n = 0; n < kCount; ++n)
        made[n][l] = static_cast<R>(at<M>(from.host[l] + sizeof(M) * static_cast<u64>(n)));
  } else {
    for (Mask rest = mask; rest != 0; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      for (int n = 0; n < kCount; ++n)
        made[n][l] = static_cast<R>(at<M>(from.host[l] + sizeof(M) * static_cast<u64>(n)));
    }
  }
  for (int n = 0; n < kCount; ++n)
    store_lanes(warp, instr.o[n], mask, made[n]);
  if (instr.order >= Order::Volatile)
    yield(warp);
}

template <class M, class R, int kCount> void store(Warp &warp, const Instr &instr, Mask mask) {
  Resolved to;
  resolve(warp, instr, mask, kCount, sizeof(M) * kCount, Access::Kind::Store, to);
  const R *from[kCount];
  for (int n = 0; n < kCount; ++n)
    from[n] = warp.reg<R>(instr.o[n]);
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    for (int n = 0; n < kCount; ++n) {
      const M value = static_cast<M>(from[n][l]);
      std::memcpy(reinterpret_cast<void *>(to.host[l] + sizeof(M) * static_cast<u64>(n)), &value,
                  sizeof value);
    }
  }
}

template <class M, class R> Handler counted(bool stores, int count) {
  switch (count) {
  case 1:
    return stores ? store<M, R, 1> : load<M, R, 1>;
  case 2:
    return stores ? store<M, R, 2> : load<M, R, 2>;
  case 4:
    return stores ? store<M, R, 4> : load<M, R, 4>;
  default:
    return nullptr;
  }
}
template <class M> Handler sized(bool stores, int count, int register_bytes) {
  if constexpr (sizeof(M) <= 2)
    if (register_bytes == 2)
      return counted<M, std::conditional_t<std::is_signed_v<M>, i16, u16>>(stores, count);
  if constexpr (sizeof(M) <= 4)
    if (register_bytes == 4)
      return counted<M, std::conditional_t<std::is_signed_v<M>, i32, u32>>(stores, count);
  if (register_bytes == 8)
    return counted<M, std::conditional_t<std::is_signed_v<M>, i64, u64>>(stores, count);
  return nullptr;
}
Handler accessor(Type type, bool stores, int count, int register_bytes) {
  switch (bytes_of(type)) {
  case 1:
    return is_signed(type) ? sized<i8>(stores, count, register_bytes)
                           : sized<u8>(stores, count, register_bytes);
  case 2:
    return is_signed(type) ? sized<i16>(stores, count, register_bytes)
                           : sized<u16>(stores, count, register_bytes);
  case 4:
    return is_signed(type) ? sized<i32>(stores, count, register_bytes)
                           : sized<u32>(stores, count, register_bytes);
  case 8:
    return sized<u64>(stores, count, register_bytes);
  default:
    return nullptr;
  }
}

constexpr Type kRegisterOf[] = {Type::None, Type::None, Type::B16,  Type::None, Type::B32,
                                Type::None, Type::None, Type::None, Type::B64};

void decode_access(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const bool stores = parts[0] == "st";
  const Modifiers made =
      modifiers_of(decoder, statement, parts, parts[0] == "ldu" ? "ld" : parts[0]);
  const size_t hints = made.cache_hint ? 1 : 0;
  decoder.operands(statement, 2 + hints, 2 + hints);
  const Operand &address = statement.operands[stores ? 0 : 1],
                &values = statement.operands[stores ? 1 : 0];
  const size_t count = static_cast<size_t>(made.count);
  if ((values.kind == Operand::Kind::Vector) != (count > 1) ||
      (count > 1 && values.parts.size() != count))
    decoder.refuse(concat(statement.opcode, ": ", count, " values are wanted"));
  const Operand *first = count > 1 ? values.parts.data() : &values;
  int register_bytes = 0;
  for (size_t n = 0; n < count; ++n) {
    const int bytes = decoder.width(first[n], made.type);
    if (first[n].kind == Operand::Kind::Register) {
      if (register_bytes != 0 && register_bytes != bytes)
        decoder.refuse(concat(statement.opcode, ": registers of several widths"));
      register_bytes = bytes;
    }
  }
  if (register_bytes == 0)
    register_bytes = std::max(2, bytes_of(made.type));
  instr.fn = accessor(made.type, stores, made.count, register_bytes);
  if (instr.fn == nullptr || made.space == Space::Const ? stores : false)
    decoder.refuse(concat("unknown form ", statement.opcode));
  instr.bytes = static_cast<u8>(bytes_of(made.type));
  instr.count = static_cast<u8>(made.count);
  instr.order = made.order;
  instr.scope = made.scope;
  instr.read_only = made.read_only;
  const Type type = is_float(made.type) && bytes_of(made.type) == register_bytes
                        ? made.type
                        : kRegisterOf[register_bytes];
  for (u32 n = 0; stores && n < count; ++n)
    decoder.source(instr, n, first[n], type);
  decoder.address(instr, static_cast<u32>(count), address, made.space);
  if (made.space == Space::Param && stores && instr.area_bytes == 0)
    decoder.refuse(concat(statement.opcode, " to a kernel's parameters"));
  for (u32 n = 0; !stores && n < count; ++n)
    decoder.result(instr, n, first[n], type);
}

// Prefetches and the like ask for nothing that can be seen; their addresses are not looked at, as
// the machine does not.
void decode_prefetch(Decoder &decoder, const Statement &statement, const Parts &parts,
                     Instr &instr) {
  for (size_t n = 1; n < parts.size(); ++n)
    if (parts[n] != "global" && parts[n] != "L1" && parts[n] != "L2" && parts[n] != "local" &&
        parts[n] != "L2::evict_last" && parts[n] != "L2::evict_normal")
      decoder.refuse(concat("unknown form ", statement.opcode, ": .", parts[n]));
  instr.fn = [](Warp &, const Instr &, Mask) {};
  decoder.operands(statement, 1, 2);
  decoder.address(instr, 0, statement.operands[0], Space::Generic);
}

// createpolicy makes a number that cache hints take; nothing else reads it.
void decode_policy(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  if (statement.opcode != "createpolicy.fractional.L2::evict_first.b64" &&
      statement.opcode != "createpolicy.fractional.L2::evict_last.b64" &&
      statement.opcode != "createpolicy.fractional.L2::evict_normal.b64" &&
      statement.opcode != "createpolicy.fractional.L2::evict_unchanged.b64")
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 1, 2);
  instr.fn = [](Warp &warp, const Instr &made, Mask mask) {
    const u64 zeros[kLanes] = {};
    store_lanes(warp, made.o[0], mask, zeros);
  };
  decoder.result(instr, 0, statement.operands[0], Type::B64);
}

// membar.LEVEL, fence{.sem}.scope; proxies' fences order nothing in an interpreter that has one
// order, and the observer hears of them.
void decode_fence(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  instr.order = Order::AcquireRelease;
  for (size_t n = 1; n < parts.size(); ++n) {
    const std::string_view part = parts[n];
    if (part == "sc")
      instr.order = Order::SequentiallyConsistent;
    else if (part == "acquire")
      instr.order = Order::Acquire;
    else if (part == "release")
      instr.order = Order::Release;
    else if (part == "cta")
      instr.scope = Scope::Cta;
    else if (part == "cluster")
      instr.scope = Scope::Cluster;
    else if (part == "gl" || part == "gpu")
      instr.scope = Scope::Gpu;
    else if (part == "sys")
      instr.scope = Scope::System;
    else if (part == "proxy" || part == "async" || part == "async::generic" || part == "global" ||
             part == "shared::cta" || part == "shared::cluster" || part == "mbarrier_init" ||
             part == "alias" || part == "async.global")
      instr.sub = 1;
    else if (part != "acq_rel")
      decoder.refuse(concat("unknown form ", statement.opcode, ": .", part));
  }
  if (parts[0] == "membar")
    instr.order = Order::SequentiallyConsistent;
  decoder.operands(statement, 0, 0);
  instr.fn = [](Warp &warp, const Instr &made, Mask mask) {
    if (warp.launch->observer != nullptr)
      warp.launch->observer->fence(warp, mask, made.order, made.scope);
  };
}

} // namespace

void add_memory_forms(FormTable &table) {
  table.add_family("ld", decode_access);
  table.add_family("ldu", decode_access);
  table.add_family("st", decode_access);
  table.add_family("prefetch", decode_prefetch);
  table.add_family("prefetchu", decode_prefetch);
  table.add_family("applypriority", decode_prefetch);
  table.add_family("createpolicy", decode_policy);
  table.add_family("membar", decode_fence);
  table.add_family("fence", decode_fence);
}

QUERN_PTX_END

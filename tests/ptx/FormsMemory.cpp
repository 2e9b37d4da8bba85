// Loads, stores, prefetches and fences: PTX ISA, sections 9.7.9 and 9.7.13.
#include "tests/ptx/Decode.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Modifiers.h"
#include "tests/ptx/Resolve.h"
#include "tests/ptx/Words.h"

#include <algorithm>
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
  if (from.row) {
    M row[kLanes * kCount];
    std::memcpy(row, reinterpret_cast<const void *>(from.host[0]), sizeof row);
    for (int l = 0; l < kLanes; ++l)
      for (int n = 0; n < kCount; ++n)
        made[n][l] = static_cast<R>(row[kCount * l + n]);
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
    polled(warp, instr, mask, reinterpret_cast<const u8 *>(from.host[std::countr_zero(mask)]),
           sizeof(M) * kCount);
}

// Of a kernel's parameters, at a place that is known: one value for all lanes.
template <class M, class R, int kCount>
void load_parameter(Warp &warp, const Instr &instr, Mask mask) {
  const auto &parameters = warp.launch->parameters;
  const u64 offset = static_cast<u64>(instr.imm);
  if (offset > parameters.size() || sizeof(M) * kCount > parameters.size() - offset)
    throw Fault{"out of bounds",
                concat("read of ", sizeof(M) * kCount, " bytes at byte ", offset,
                       " of the parameters, which have ", parameters.size()),
                std::countr_zero(mask)};
  for (int n = 0; n < kCount; ++n) {
    const R value = static_cast<R>(
        at<M>(reinterpret_cast<u64>(parameters.data()) + offset + sizeof(M) * static_cast<u64>(n)));
    R made[kLanes];
    for (R &lane : made)
      lane = value;
    store_lanes(warp, instr.o[n], mask, made);
  }
}

template <class M, class R, int kCount> void store(Warp &warp, const Instr &instr, Mask mask) {
  Resolved to;
  resolve(warp, instr, mask, kCount, sizeof(M) * kCount, Access::Kind::Store, to);
  const R *from[kCount];
  for (int n = 0; n < kCount; ++n)
    from[n] = warp.reg<R>(instr.o[n]);
  if (to.row) {
    M row[kLanes * kCount];
    for (int l = 0; l < kLanes; ++l)
      for (int n = 0; n < kCount; ++n)
        row[kCount * l + n] = static_cast<M>(from[n][l]);
    std::memcpy(reinterpret_cast<void *>(to.host[0]), row, sizeof row);
    return;
  }
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    for (int n = 0; n < kCount; ++n) {
      const M value = static_cast<M>(from[n][l]);
      std::memcpy(reinterpret_cast<void *>(to.host[l] + sizeof(M) * static_cast<u64>(n)), &value,
                  sizeof value);
    }
  }
}

enum class How : u8 { Load, Store, Parameter };
template <class M, class R, int kCount> Handler handler(How how) {
  return how == How::Store  ? store<M, R, kCount>
         : how == How::Load ? load<M, R, kCount>
                            : load_parameter<M, R, kCount>;
}
template <class M, class R> Handler counted(How how, int count) {
  return count == 1   ? handler<M, R, 1>(how)
         : count == 2 ? handler<M, R, 2>(how)
         : count == 4 ? handler<M, R, 4>(how)
                      : nullptr;
}
template <class M> Handler sized(How how, int count, int register_bytes) {
  if constexpr (sizeof(M) <= 2)
    if (register_bytes == 2)
      return counted<M, std::conditional_t<std::is_signed_v<M>, i16, u16>>(how, count);
  if constexpr (sizeof(M) <= 4)
    if (register_bytes == 4)
      return counted<M, std::conditional_t<std::is_signed_v<M>, i32, u32>>(how, count);
  if (register_bytes == 8)
    return counted<M, std::conditional_t<std::is_signed_v<M>, i64, u64>>(how, count);
  return nullptr;
}
Handler accessor(Type type, How how, int count, int register_bytes) {
  switch (bytes_of(type)) {
  case 1:
    return is_signed(type) ? sized<i8>(how, count, register_bytes)
                           : sized<u8>(how, count, register_bytes);
  case 2:
    return is_signed(type) ? sized<i16>(how, count, register_bytes)
                           : sized<u16>(how, count, register_bytes);
  case 4:
    return is_signed(type) ? sized<i32>(how, count, register_bytes)
                           : sized<u32>(how, count, register_bytes);
  case 8:
    return sized<u64>(how, count, register_bytes);
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
  // ldu is what ld was, of global memory alone.
  if (parts[0] == "ldu" && ((made.space != Space::Generic && made.space != Space::Global) ||
                            made.order != Order::Weak || made.read_only))
    decoder.refuse(concat("unknown form ", statement.opcode));
  const size_t hints = made.cache_hint ? 1 : 0;
  decoder.operands(statement, 2 + hints, 2 + hints);
  if (hints != 0)
    decoder.policy(statement.operands[2]);
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
  // A place among the kernel's parameters that the text gives is one for all lanes.
  const bool parameter = made.space == Space::Param && !stores &&
                         address.kind == Operand::Kind::Address &&
                         address.parts[0].kind == Operand::Kind::Integer;
  const How how = stores ? How::Store : parameter ? How::Parameter : How::Load;
  instr.fn = accessor(made.type, how, made.count, register_bytes);
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
  if (parameter)
    instr.imm = static_cast<i64>(address.bits + address.parts[0].bits);
  else
    decoder.address(instr, static_cast<u32>(count), address, made.space);
  if (made.space == Space::Param && stores && instr.area_bytes == 0)
    decoder.refuse(concat(statement.opcode, " to a kernel's parameters"));
  for (u32 n = 0; !stores && n < count; ++n)
    decoder.result(instr, n, first[n], type);
}

// Prefetches and the like ask for nothing that can be seen; their addresses are not looked at, as
// the machine does not.
void decode_prefetch(Decoder &decoder, const Statement &statement, const Parts &, Instr &instr) {
  constexpr std::string_view kKnown[] = {"prefetch.L1",
                                         "prefetch.L2",
                                         "prefetch.global.L1",
                                         "prefetch.global.L2",
                                         "prefetch.local.L1",
                                         "prefetch.local.L2",
                                         "prefetch.global.L2::evict_last",
                                         "prefetch.global.L2::evict_normal",
                                         "prefetchu.L1",
                                         "applypriority.global.L2::evict_normal"};
  if (std::find(std::begin(kKnown), std::end(kKnown), statement.opcode) == std::end(kKnown))
    decoder.refuse(concat("unknown form ", statement.opcode));
  instr.fn = [](Warp &, const Instr &, Mask) {};
  const size_t wanted = statement.opcode.starts_with("applypriority") ? 2 : 1;
  decoder.operands(statement, wanted, wanted);
  if (wanted == 2 && decoder.constant(statement.operands[1]) != 128)
    decoder.refuse(concat(statement.opcode, " of another size than 128"));
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
  const auto scope_of = [](std::string_view part) {
    return part == "cta"       ? Scope::Cta
           : part == "cluster" ? Scope::Cluster
           : part == "gpu"     ? Scope::Gpu
           : part == "sys"     ? Scope::System
                               : Scope::None;
  };
  constexpr std::string_view kProxies[] = {
      "fence.proxy.alias",
      "fence.proxy.async",
      "fence.proxy.async.global",
      "fence.proxy.async.shared::cta",
      "fence.proxy.async.shared::cluster",
      "fence.mbarrier_init.release.cluster",
  };
  instr.order = Order::AcquireRelease;
  bool known = false;
  if (std::find(std::begin(kProxies), std::end(kProxies), statement.opcode) != std::end(kProxies)) {
    known = true;
    instr.sub = 1;
    if (parts.back() == "cluster") {
      instr.order = Order::Release;
      instr.scope = Scope::Cluster;
    }
  } else if (parts[0] == "membar" && parts.size() == 2) {
    instr.order = Order::SequentiallyConsistent;
    instr.scope = parts[1] == "gl" ? Scope::Gpu : scope_of(parts[1]);
    known = instr.scope != Scope::None && parts[1] != "gpu" && parts[1] != "cluster";
  } else if (parts[0] == "fence" && (parts.size() == 2 || parts.size() == 3)) {
    const std::string_view order = parts.size() == 3 ? parts[1] : "";
    instr.order = order == "sc"        ? Order::SequentiallyConsistent
                  : order == "acquire" ? Order::Acquire
                  : order == "release" ? Order::Release
                                       : Order::AcquireRelease;
    instr.scope = scope_of(parts.back());
    known = instr.scope != Scope::None &&
            (instr.order != Order::AcquireRelease || order.empty() || order == "acq_rel");
  }
  if (!known)
    decoder.refuse(concat("unknown form ", statement.opcode));
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

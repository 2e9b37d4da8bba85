// Asynchronous copies, barriers in memory, matrices in shared memory: PTX ISA,
// sections 9.7.9.25, 9.7.13.15 and 9.7.14.5.15.
#include "tests/ptx/Decode.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Resolve.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <cstring>

QUERN_PTX_BEGIN
namespace {

// cp.async lands as late as it may: when it is waited for. Until then its target counts as not
// written.
void copy_async(Warp &warp, const Instr &instr, Mask mask) {
  const u32 bytes = instr.bytes;
  Instr source = instr;
  source.space = Space::Global;
  source.imm = static_cast<i64>(instr.target);
  source.narrow = false;
  // A source size of less than the copy's reads only that, and zeros the rest.
  const u32 *valid = instr.sub != 0 ? warp.reg<u32>(instr.o[2]) : nullptr;
  Mask reads = mask;
  for (int l = 0; valid != nullptr && l < kLanes; ++l) {
    if ((mask >> l & 1) != 0 && valid[l] > bytes)
      throw Fault{"misuse", concat("cp.async reads ", valid[l], " of ", bytes, " bytes"), l};
    if (valid[l] == 0)
      reads &= ~(Mask{1} << l);
  }
  const u64 *base = warp.reg<u64>(instr.o[1]);
  Resolved from, to;
  for (int l = 0; l < kLanes; ++l)
    from.address[l] = base[l] + static_cast<u64>(static_cast<i64>(static_cast<i32>(instr.target)));
  if (valid != nullptr) {
    for (Mask rest = reads; rest != 0; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      Resolved one = from;
      if (from.address[l] % bytes != 0)
        throw Fault{"misaligned", concat("cp.async of ", bytes, " bytes from ", from.address[l]),
                    l};
      resolve_at(warp, source, Mask{1} << l, Space::Global, valid[l], Access::Kind::Load, false,
                 one);
    }
  } else if (reads != 0) {
    resolve_at(warp, source, reads, Space::Global, bytes, Access::Kind::Load, true, from);
  }
  resolve(warp, instr, mask, 0, bytes, Access::Kind::Store, to);
  const size_t first = warp.open_copies.size();
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const u32 place =
        static_cast<u32>(to.host[l] - reinterpret_cast<u64>(warp.block->shared.data()));
    std::memset(warp.block->shared_state.data() + place, kOnItsWay, bytes);
    warp.open_copies.push_back({place, from.address[l], static_cast<u8>(bytes),
                                static_cast<u8>(valid != nullptr ? valid[l] : bytes),
                                static_cast<u8>(l)});
  }
  if (warp.launch->observer != nullptr)
    warp.launch->observer->async_issue(warp, instr,
                                       std::span<const AsyncCopy>(warp.open_copies).subspan(first));
}

void land(Warp &warp, const AsyncCopy &copy) {
  u8 *to = warp.block->shared.data() + copy.to;
  std::memset(to, 0, copy.bytes);
  if (copy.valid != 0)
    std::memcpy(to, warp.launch->memory->host(copy.from), copy.valid);
  std::memset(warp.block->shared_state.data() + copy.to, 1, copy.bytes);
}

void land_lanes(Warp &warp, std::vector<AsyncCopy> &copies, Mask lanes) {
  size_t kept = 0;
  for (const AsyncCopy &copy : copies)
    if ((lanes >> copy.lane & 1) != 0)
      land(warp, copy);
    else
      copies[kept++] = copy;
  copies.resize(kept);
}

void commit(Warp &warp, const Instr &, Mask mask) {
  AsyncGroup group;
  group.lanes = mask;
  size_t kept = 0;
  for (const AsyncCopy &copy : warp.open_copies)
    if ((mask >> copy.lane & 1) != 0)
      group.copies.push_back(copy);
    else
      warp.open_copies[kept++] = copy;
  warp.open_copies.resize(kept);
  warp.async_groups.push_back(std::move(group));
  if (warp.launch->observer != nullptr)
    warp.launch->observer->async_commit(warp, mask);
}

// All but the newest `imm` groups of each lane; with sub, what is not committed too.
void wait(Warp &warp, const Instr &instr, Mask mask) {
  u32 newer[kLanes] = {};
  for (size_t n = warp.async_groups.size(); n-- > 0;) {
    AsyncGroup &group = warp.async_groups[n];
    Mask lands = 0;
    for (int l = 0; l < kLanes; ++l)
      if ((group.lanes & mask) >> l & 1) {
        if (newer[l] >= static_cast<u32>(instr.imm))
          lands |= Mask{1} << l;
        ++newer[l];
      }
    land_lanes(warp, group.copies, lands);
    group.lanes &= ~lands;
  }
  std::erase_if(warp.async_groups, [](const AsyncGroup &group) { return group.lanes == 0; });
  if (instr.sub != 0)
    land_lanes(warp, warp.open_copies, mask);
  if (warp.launch->observer != nullptr)
    warp.launch->observer->async_wait(warp, mask, static_cast<u32>(instr.imm));
}

// ---- mbarrier. Its word, which programs may not look into: threads still to come, threads of a
// phase, bytes still to come, and the phase.
struct Word {
  u32 pending, expected;
  i32 bytes;
  bool phase;
};
Word word_of(u64 bits) {
  return {static_cast<u32>(bits & 0xfffff), static_cast<u32>(bits >> 20 & 0xfffff),
          static_cast<i32>(static_cast<i64>(bits << 1) >> 41), bits >> 63 != 0};
}
u64 bits_of(const Word &word) {
  return u64{word.pending} | u64{word.expected} << 20 |
         (static_cast<u64>(word.bytes) & 0x7fffff) << 40 | u64{word.phase} << 63;
}
void complete(Word &word) {
  if (word.pending == 0 && word.bytes == 0) {
    word.pending = word.expected;
    word.phase = !word.phase;
  }
}

enum Mbarrier : u8 {
  kInit,
  kInvalidate,
  kArrive,
  kArriveDrop,
  kExpect,
  kArriveExpect,
  kCompleteTx,
  kTest,
  kTestParity,
  kPendingCount,
  kCopiesArrive,
  kCopiesArriveNoInc
};

// o: 0 result, 1 address, 2 source. Lanes take turns.
void mbarrier(Warp &warp, const Instr &instr, Mask mask) {
  Resolved at;
  resolve(warp, instr, mask, 1, 8, instr.sub == kInit ? Access::Kind::Store : Access::Kind::Atomic,
          at);
  const u32 *count = warp.reg<u32>(instr.o[2]);
  const u64 *state = warp.reg<u64>(instr.o[2]);
  u64 made[kLanes] = {};
  Mask done = 0;
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    u64 bits;
    std::memcpy(&bits, reinterpret_cast<const void *>(at.host[l]), 8);
    made[l] = bits;
    Word word = word_of(bits);
    const u32 n = instr.count != 0 ? count[l] : 1;
    switch (instr.sub) {
    case kInit:
      if (n == 0 || n > 0xfffff)
        throw Fault{"mbarrier", concat("a barrier for ", n, " threads"), l};
      word = {n, n, 0, false};
      break;
    case kInvalidate:
      word = {0, 0, 0, false};
      break;
    case kCopiesArrive:
    case kCopiesArriveNoInc:
      for (AsyncGroup &group : warp.async_groups)
        land_lanes(warp, group.copies, Mask{1} << l);
      land_lanes(warp, warp.open_copies, Mask{1} << l);
      if (instr.sub == kCopiesArrive)
        break; // the count it adds is the one that its arrival takes
      [[fallthrough]];
    case kArrive:
    case kArriveDrop:
    case kArriveExpect: {
      const u32 arrives = instr.sub == kArriveExpect || instr.sub == kCopiesArriveNoInc ? 1 : n;
      if (word.expected == 0 || word.pending < arrives)
        throw Fault{"mbarrier", concat(arrives, " arrive, ", word.pending, " are wanted"), l};
      if (instr.sub == kArriveExpect)
        word.bytes += static_cast<i32>(n);
      if (instr.sub == kArriveDrop)
        word.expected -= arrives;
      word.pending -= arrives;
      complete(word);
      break;
    }
    case kExpect:
      word.bytes += static_cast<i32>(n);
      break;
    case kCompleteTx:
      word.bytes -= static_cast<i32>(n);
      complete(word);
      break;
    case kTest:
      done |= static_cast<Mask>((state[l] >> 63 != 0) != word.phase) << l;
      continue;
    case kTestParity:
      // Parity 0 asks for the first phase, which is over once the phase bit is set.
      done |= static_cast<Mask>(((count[l] & 1) != 0) != word.phase) << l;
      continue;
    default:
      break;
    }
    bits = bits_of(word);
    std::memcpy(reinterpret_cast<void *>(at.host[l]), &bits, 8);
  }
  if (instr.sub == kTest || instr.sub == kTestParity) {
    store_mask(warp, instr.o[0], mask, done);
    yield(warp);
  } else if (instr.sub == kArrive || instr.sub == kArriveDrop || instr.sub == kArriveExpect) {
    store_lanes(warp, instr.o[0], mask, made);
    warp.stop = true;
  }
}

bool strip(Parts &parts, std::string_view part) {
  for (size_t n = 1; n < parts.size(); ++n)
    if (parts[n] == part) {
      parts.erase(parts.begin() + static_cast<long>(n));
      return true;
    }
  return false;
}

void decode_mbarrier(Decoder &decoder, const Statement &statement, const Parts &all, Instr &instr) {
  Parts parts = all;
  const bool parity = strip(parts, "parity");
  instr.order = strip(parts, "release")   ? Order::Release
                : strip(parts, "relaxed") ? Order::Relaxed
                : strip(parts, "acquire") ? Order::Acquire
                                          : Order::Weak;
  const Order order = instr.order;
  instr.scope = strip(parts, "cluster") ? Scope::Cluster : Scope::Cta;
  const bool scoped = strip(parts, "cta") || instr.scope == Scope::Cluster;
  const bool no_complete = strip(parts, "noComplete"), expects = strip(parts, "expect_tx");
  const bool placed = strip(parts, "shared") || strip(parts, "shared::cta");
  const std::string_view what = parts.size() == 3 && parts[2] == "b64"              ? parts[1]
                                : parts.size() == 2 && parts[1] == "b64" && expects ? "expect_tx"
                                                                                    : "";
  size_t sources = 0; // behind the address
  size_t results = 0;
  if (what == "init") {
    instr.sub = kInit;
    sources = 1;
  } else if (what == "inval") {
    instr.sub = kInvalidate;
  } else if (what == "arrive" || what == "arrive_drop") {
    instr.sub = what == "arrive_drop" ? kArriveDrop : expects ? kArriveExpect : kArrive;
    results = 1;
    if (expects && what == "arrive_drop")
      decoder.refuse(concat("unknown form ", statement.opcode));
    sources = statement.operands.size() == 3 || expects || no_complete ? 1 : 0;
    if (instr.order == Order::Weak)
      instr.order = Order::Release;
  } else if (what == "expect_tx") {
    instr.sub = kExpect;
    sources = 1;
  } else if (what == "test_wait" || what == "try_wait") {
    instr.sub = parity ? kTestParity : kTest;
    results = 1;
    sources = 1;
    if (instr.order == Order::Weak)
      instr.order = Order::Acquire;
  } else {
    decoder.refuse(concat("unknown form ", statement.opcode));
  }
  const bool waits = what == "test_wait" || what == "try_wait",
             counts = what == "arrive" || what == "arrive_drop" || what == "expect_tx";
  const bool fits = order == Order::Weak      ? true
                    : order == Order::Release ? counts && what != "expect_tx"
                    : order == Order::Acquire ? waits
                                              : counts || waits;
  if (!fits || scoped != (order != Order::Weak) ||
      (no_complete &&
       (expects || !counts || order == Order::Relaxed || instr.scope == Scope::Cluster)))
    decoder.refuse(concat("unknown form ", statement.opcode));
  if ((parity && instr.sub != kTestParity) ||
      (expects && instr.sub != kArriveExpect && instr.sub != kExpect))
    decoder.refuse(concat("unknown form ", statement.opcode));
  const bool hint = what == "try_wait" && statement.operands.size() == results + 1 + sources + 1;
  decoder.operands(statement, results + 1 + sources + (hint ? 1 : 0),
                   results + 1 + sources + (hint ? 1 : 0));
  instr.fn = mbarrier;
  instr.bytes = 8;
  instr.count = sources != 0 ? 1 : 0;
  decoder.address(instr, 1, statement.operands[results], placed ? Space::Shared : Space::Generic);
  instr.o[2] = kSink;
  if (sources != 0)
    decoder.source(instr, 2, statement.operands[results + 1],
                   instr.sub == kTest ? Type::B64 : Type::B32);
  instr.o[0] = kSink;
  if (results != 0)
    decoder.result(instr, 0, statement.operands[0],
                   instr.sub == kTest || instr.sub == kTestParity ? Type::Pred : Type::B64);
}

void decode_cp(Decoder &decoder, const Statement &statement, const Parts &all, Instr &instr) {
  Parts parts = all;
  if (statement.opcode == "cp.async.commit_group") {
    decoder.operands(statement, 0, 0);
    instr.fn = commit;
    return;
  }
  if (statement.opcode == "cp.async.wait_group" || statement.opcode == "cp.async.wait_all") {
    const bool everything = statement.opcode == "cp.async.wait_all";
    decoder.operands(statement, everything ? 0 : 1, everything ? 0 : 1);
    instr.fn = wait;
    instr.sub = everything ? 1 : 0;
    instr.imm = everything ? 0 : static_cast<i64>(decoder.constant(statement.operands[0]) & 0xffff);
    return;
  }
  if (parts.size() >= 4 && parts[1] == "async" && parts[2] == "mbarrier") {
    const bool no_increment = strip(parts, "noinc");
    if ((strip(parts, "shared") || strip(parts, "shared::cta") || true) && parts.size() == 5 &&
        parts[3] == "arrive" && parts[4] == "b64") {
      decoder.operands(statement, 1, 1);
      instr.fn = mbarrier;
      instr.sub = no_increment ? kCopiesArriveNoInc : kCopiesArrive;
      instr.bytes = 8;
      instr.count = 0;
      instr.o[0] = instr.o[2] = kSink;
      decoder.address(instr, 1, statement.operands[0],
                      statement.opcode.find("shared") != std::string::npos ? Space::Shared
                                                                           : Space::Generic);
      return;
    }
    decoder.refuse(concat("unknown form ", statement.opcode));
  }
  for (std::string_view hint : {"L2::64B", "L2::128B", "L2::256B"})
    strip(parts, hint);
  const size_t policy = strip(parts, "L2::cache_hint") ? 1 : 0;
  const bool known = parts.size() == 5 && parts[1] == "async" &&
                     (parts[2] == "ca" || parts[2] == "cg") &&
                     (parts[3] == "shared" || parts[3] == "shared::cta") && parts[4] == "global";
  if (!known)
    decoder.refuse(concat("unknown form ", statement.opcode));
  decoder.operands(statement, 3 + policy, 4 + policy);
  const u64 bytes = decoder.constant(statement.operands[2]);
  if (bytes != 16 && (parts[2] == "cg" || (bytes != 4 && bytes != 8)))
    decoder.refuse(concat(statement.opcode, " of ", bytes, " bytes"));
  instr.fn = copy_async;
  instr.bytes = static_cast<u8>(bytes);
  instr.asynchronous = true;
  decoder.address(instr, 1, statement.operands[1], Space::Global);
  instr.target = static_cast<u32>(instr.imm);
  if (instr.imm != static_cast<i32>(instr.imm))
    decoder.refuse(concat(statement.opcode, ": an offset of more than 32 bits"));
  decoder.address(instr, 0, statement.operands[0], Space::Shared);
  instr.o[2] = kSink;
  if (policy != 0)
    decoder.policy(statement.operands.back());
  if (statement.operands.size() == 4 + policy) {
    instr.sub = 1;
    decoder.source(instr, 2, statement.operands[3], Type::U32);
  }
}

// ---- ldmatrix and stmatrix: eight rows of 16 bytes a matrix, whose addresses eight lanes give.
template <int kCount, bool kTranspose, bool kStores>
void matrices(Warp &warp, const Instr &instr, Mask mask) {
  if (mask != kAllLanes)
    throw Fault{"divergence", concat(instr.name, " without all lanes of the warp"),
                std::countr_zero(mask)};
  const Mask rows = kCount == 4 ? kAllLanes : (Mask{1} << 8 * kCount) - 1;
  Resolved at;
  resolve(warp, instr, rows, kCount, 16, kStores ? Access::Kind::Store : Access::Kind::Load, at);
  for (int n = 0; n < kCount; ++n) {
    u32 *values = warp.reg<u32>(instr.o[n]);
    u16 cells[8][8];
    if (!kStores)
      for (int row = 0; row < 8; ++row)
        std::memcpy(cells[row], reinterpret_cast<const void *>(at.host[8 * n + row]), 16);
    for (int l = 0; l < kLanes; ++l) {
      const int outer = l / 4, inner = 2 * (l % 4);
      u16 &low = kTranspose ? cells[inner][outer] : cells[outer][inner];
      u16 &high = kTranspose ? cells[inner + 1][outer] : cells[outer][inner + 1];
      if (kStores) {
        low = static_cast<u16>(values[l]);
        high = static_cast<u16>(values[l] >> 16);
      } else {
        values[l] = static_cast<u32>(high) << 16 | low;
      }
    }
    if (kStores)
      for (int row = 0; row < 8; ++row)
        std::memcpy(reinterpret_cast<void *>(at.host[8 * n + row]), cells[row], 16);
  }
}
template <bool kStores> Handler matrix_handler(int count, bool transpose) {
  switch (count) {
  case 1:
    return transpose ? matrices<1, true, kStores> : matrices<1, false, kStores>;
  case 2:
    return transpose ? matrices<2, true, kStores> : matrices<2, false, kStores>;
  default:
    return transpose ? matrices<4, true, kStores> : matrices<4, false, kStores>;
  }
}

// ldmatrix.sync.aligned.m8n8.xN{.trans}.shared.b16 {d...}, [a]; stmatrix the other way.
void decode_matrix(Decoder &decoder, const Statement &statement, const Parts &all, Instr &instr) {
  Parts parts = all;
  const bool stores = parts[0] == "stmatrix", transpose = strip(parts, "trans");
  const bool placed = strip(parts, "shared") || strip(parts, "shared::cta");
  const bool known = parts.size() == 6 && parts[1] == "sync" && parts[2] == "aligned" &&
                     parts[3] == "m8n8" && parts[5] == "b16" &&
                     (parts[4] == "x1" || parts[4] == "x2" || parts[4] == "x4");
  if (!known)
    decoder.refuse(concat("unknown form ", statement.opcode));
  const int count = parts[4][1] - '0';
  decoder.operands(statement, 2, 2);
  const Operand &values = statement.operands[stores ? 1 : 0],
                &address = statement.operands[stores ? 0 : 1];
  if (values.kind != Operand::Kind::Vector || values.parts.size() != static_cast<size_t>(count))
    decoder.refuse(concat(statement.opcode, ": ", count, " registers are wanted"));
  instr.fn =
      stores ? matrix_handler<true>(count, transpose) : matrix_handler<false>(count, transpose);
  instr.bytes = 16;
  for (u32 n = 0; stores && n < values.parts.size(); ++n)
    decoder.source(instr, n, values.parts[n], Type::B32);
  decoder.address(instr, static_cast<u32>(count), address, placed ? Space::Shared : Space::Generic);
  for (u32 n = 0; !stores && n < values.parts.size(); ++n)
    decoder.result(instr, n, values.parts[n], Type::B32);
}

} // namespace

void add_async_forms(FormTable &table) {
  table.add_family("cp", decode_cp);
  table.add_family("mbarrier", decode_mbarrier);
  table.add_family("ldmatrix", decode_matrix);
  table.add_family("stmatrix", decode_matrix);
}

QUERN_PTX_END

#include "tests/ptx/Modifiers.h"

#include "tests/ptx/Decode.h"
#include "tests/ptx/Words.h"

#include <algorithm>
#include <string_view>

namespace quern::ptx {
namespace {

template <class Value> struct Named {
  std::string_view name;
  Value value;
};

constexpr Named<Space> kSpaces[] = {{"global", Space::Global},      {"shared", Space::Shared},
                                    {"shared::cta", Space::Shared}, {"local", Space::Local},
                                    {"const", Space::Const},        {"param", Space::Param},
                                    {"param::entry", Space::Param}, {"param::func", Space::Param}};
constexpr Named<Order> kOrders[] = {
    {"weak", Order::Weak},       {"volatile", Order::Volatile}, {"relaxed", Order::Relaxed},
    {"acquire", Order::Acquire}, {"release", Order::Release},   {"acq_rel", Order::AcquireRelease}};
constexpr Named<Scope> kScopes[] = {
    {"cta", Scope::Cta}, {"cluster", Scope::Cluster}, {"gpu", Scope::Gpu}, {"sys", Scope::System}};
// Where caches keep what is read changes no value.
constexpr std::string_view kCaches[] = {"ca",
                                        "cg",
                                        "cs",
                                        "lu",
                                        "cv",
                                        "wb",
                                        "wt",
                                        "L1::evict_normal",
                                        "L1::evict_unchanged",
                                        "L1::evict_first",
                                        "L1::evict_last",
                                        "L1::no_allocate",
                                        "L2::evict_normal",
                                        "L2::evict_first",
                                        "L2::evict_last",
                                        "L2::64B",
                                        "L2::128B",
                                        "L2::256B"};
constexpr std::string_view kOperations[] = {"add", "min", "max", "and",  "or",
                                            "xor", "inc", "dec", "exch", "cas"};

} // namespace

Modifiers modifiers_of(Decoder &decoder, const Statement &statement, const Parts &parts,
                       std::string_view opcode) {
  Modifiers made;
  const bool atomic = opcode == "atom" || opcode == "red";
  for (size_t n = 1; n < parts.size(); ++n) {
    const std::string_view part = parts[n];
    const auto take = [&](const auto &list, auto &into) {
      for (const auto &known : list)
        if (known.name == part) {
          into = known.value;
          return true;
        }
      return false;
    };
    if (take(kSpaces, made.space) || take(kOrders, made.order) || take(kScopes, made.scope))
      continue;
    if (n + 1 == parts.size() && type_of(part) != Type::None && type_of(part) != Type::Pred)
      made.type = type_of(part);
    else if (!atomic && (part == "v2" || part == "v4"))
      made.count = part[1] - '0';
    else if (opcode == "ld" && part == "nc")
      made.read_only = true;
    else if (part == "L2::cache_hint")
      made.cache_hint = true;
    else if (atomic && part == "noftz")
      made.flush_off = true;
    else if (atomic && made.operation.empty() &&
             std::find(std::begin(kOperations), std::end(kOperations), part) !=
                 std::end(kOperations))
      made.operation = part;
    else if (atomic || std::find(std::begin(kCaches), std::end(kCaches), part) == std::end(kCaches))
      decoder.refuse(concat("unknown form ", statement.opcode, ": .", part));
  }
  if (made.type == Type::None)
    decoder.refuse(concat("unknown form ", statement.opcode, ": no type"));
  if (made.read_only && made.space != Space::Global)
    decoder.refuse(concat("unknown form ", statement.opcode, ": .nc of another space than global"));
  return made;
}

} // namespace quern::ptx

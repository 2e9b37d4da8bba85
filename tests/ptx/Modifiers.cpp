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
struct Cache {
  std::string_view name;
  bool loads, stores;
  bool read_only = false; ///< beside .nc too
};
constexpr Cache kCaches[] = {{"ca", true, false, true}, {"cg", true, true, true},
                             {"cs", true, true, true},  {"lu", true, false},
                             {"cv", true, false},       {"wb", false, true},
                             {"wt", false, true}};
constexpr std::string_view kEvictions[] = {"L1::evict_normal", "L1::evict_unchanged",
                                           "L1::evict_first", "L1::evict_last", "L1::no_allocate"};
constexpr std::string_view kSizes[] = {"L2::64B", "L2::128B", "L2::256B"};
constexpr std::string_view kOperations[] = {"add", "min", "max", "and",  "or",
                                            "xor", "inc", "dec", "exch", "cas"};

} // namespace

Modifiers modifiers_of(Decoder &decoder, const Statement &statement, const Parts &parts,
                       std::string_view opcode) {
  Modifiers made;
  const bool atomic = opcode == "atom" || opcode == "red";
  const Cache *cache = nullptr;
  bool spaced = false, ordered = false, evicts = false, sized = false;
  const auto among = [](const auto &list, std::string_view part) {
    return std::find(std::begin(list), std::end(list), part) != std::end(list);
  };
  for (size_t n = 1; n < parts.size(); ++n) {
    const std::string_view part = parts[n];
    const auto refuse = [&] {
      decoder.refuse(concat("unknown form ", statement.opcode, ": .", part));
    };
    const auto take = [&](const auto &list, auto &into) {
      for (const auto &known : list)
        if (known.name == part) {
          into = known.value;
          return true;
        }
      return false;
    };
    // Each at most once.
    const auto once = [&](bool &before) {
      if (before)
        refuse();
      before = true;
    };
    const Scope scope = made.scope;
    if (take(kSpaces, made.space)) {
      once(spaced);
    } else if (take(kOrders, made.order)) {
      once(ordered);
    } else if (take(kScopes, made.scope)) {
      if (scope != Scope::None)
        refuse();
    } else if (n + 1 == parts.size() && type_of(part) != Type::None &&
               type_of(part) != Type::Pred) {
      made.type = type_of(part);
    } else if (!atomic && (part == "v2" || part == "v4") && made.count == 1) {
      made.count = part[1] - '0';
    } else if (opcode == "ld" && part == "nc") {
      once(made.read_only);
    } else if (part == "L2::cache_hint") {
      once(made.cache_hint);
    } else if (atomic && part == "noftz") {
      once(made.flush_off);
    } else if (atomic && made.operation.empty() && among(kOperations, part)) {
      made.operation = part;
    } else if (!atomic && among(kEvictions, part)) {
      once(evicts);
    } else if (opcode == "ld" && among(kSizes, part)) {
      once(sized);
    } else if (const auto known = std::find_if(std::begin(kCaches), std::end(kCaches),
                                               [&](const Cache &c) { return c.name == part; });
               !atomic && cache == nullptr && known != std::end(kCaches) &&
               (opcode == "ld" ? known->loads : known->stores)) {
      cache = known;
    } else {
      refuse();
    }
  }
  const auto refuse = [&](std::string_view why) {
    decoder.refuse(concat("unknown form ", statement.opcode, ": ", why));
  };
  if (made.type == Type::None)
    refuse("no type");
  const bool everywhere = made.space == Space::Generic || made.space == Space::Global,
             shared = everywhere || made.space == Space::Shared;
  if (made.read_only && made.space != Space::Global)
    refuse(".nc of another space than global");
  const bool acquires = made.order == Order::Acquire || made.order == Order::AcquireRelease,
             releases = made.order == Order::Release || made.order == Order::AcquireRelease;
  if (atomic) {
    if ((ordered && (made.order == Order::Weak || made.order == Order::Volatile)) ||
        (opcode == "red" && acquires))
      refuse("such an order");
    if (made.cache_hint && !everywhere)
      refuse("a cache hint for another space than global");
    return made;
  }
  const bool scoped = made.order != Order::Weak && made.order != Order::Volatile;
  if (scoped != (made.scope != Scope::None))
    refuse(scoped ? "an order without a scope" : "a scope without an order");
  if ((acquires && opcode == "st") || (releases && opcode == "ld") ||
      made.order == Order::AcquireRelease)
    refuse("such an order");
  if (made.order != Order::Weak && !shared)
    refuse("an order in a space that a thread has to itself");
  if (made.order != Order::Weak && (made.read_only || cache != nullptr))
    refuse("an order beside what caches are told");
  if (cache != nullptr && (evicts || (made.read_only && !cache->read_only)))
    refuse("such a cache");
  if ((evicts || sized || made.cache_hint) && !everywhere)
    refuse("a cache's hint for another space than global");
  if (made.type == Type::F16x2 || made.type == Type::BF16x2 || made.type == Type::F16 ||
      made.type == Type::BF16 || made.type == Type::TF32 || made.type == Type::B128 ||
      made.count * bytes_of(made.type) > 16)
    refuse("such a type");
  return made;
}

} // namespace quern::ptx

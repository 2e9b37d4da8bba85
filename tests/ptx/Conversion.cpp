#include "tests/ptx/Conversion.h"

#include <utility>

namespace quern::ptx {
namespace {

bool is_whole(Type type) {
  switch (type) {
  case Type::U8:
  case Type::S8:
  case Type::U16:
  case Type::S16:
  case Type::U32:
  case Type::S32:
  case Type::U64:
  case Type::S64:
    return true;
  default:
    return false;
  }
}
bool is_real(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::F32 || type == Type::F64;
}

// Whether numbers of `from` may lie outside of what `to` holds.
bool exceeds(Type from, Type to) {
  const int has = bytes_of(to), needs = bytes_of(from);
  if (is_signed(from) == is_signed(to))
    return needs > has;
  return is_signed(from) || needs >= has;
}

// Suffixes in their order: a rounding, .ftz, what is done with the result, two types.
struct Suffixes {
  Conversion made{};
  bool rounds = false; ///< .rn and the like

  bool read(const Parts &parts) {
    size_t at = 1;
    const auto next = [&](std::string_view part) {
      const bool is = at < parts.size() && parts[at] == part;
      at += is ? 1 : 0;
      return is;
    };
    constexpr std::pair<std::string_view, Round> kRounds[] = {
        {"rn", Round::Nearest}, {"rz", Round::Zero}, {"rm", Round::Down}, {"rp", Round::Up}};
    constexpr std::pair<std::string_view, Whole> kWholes[] = {
        {"rni", Whole::Nearest}, {"rzi", Whole::Zero}, {"rmi", Whole::Down}, {"rpi", Whole::Up}};
    for (const auto &[name, round] : kRounds)
      if (!rounds && next(name)) {
        made.round = round;
        rounds = true;
      }
    for (const auto &[name, whole] : kWholes)
      if (!rounds && made.whole == Whole::None && next(name))
        made.whole = whole;
    if (!rounds && made.whole == Whole::None)
      made.away = next("rna");
    made.flush = next("ftz");
    made.saturate = next("sat");
    if (!made.saturate) {
      made.finite = next("satfinite");
      made.relu = next("relu");
      if (!made.finite)
        made.finite = next("satfinite");
    }
    if (at + 2 != parts.size())
      return false;
    made.to = type_of(parts[at]);
    made.from = type_of(parts[at + 1]);
    return true;
  }

  bool go_together() {
    const Type to = made.to, from = made.from;
    const bool single = to == Type::F32 || from == Type::F32,
               brain = to == Type::BF16 || from == Type::BF16;
    const bool whole = made.whole != Whole::None;
    // From float32 to something shorter, clamped below or above.
    if (to == Type::F16x2 || to == Type::BF16x2 || to == Type::TF32 || made.relu || made.finite ||
        made.away) {
      made.pair = to == Type::F16x2 || to == Type::BF16x2;
      const bool near = rounds && (made.round == Round::Nearest || made.round == Round::Zero);
      if (from != Type::F32 || whole || made.flush || made.saturate)
        return false;
      if (to == Type::TF32)
        return !made.finite && (made.away ? !made.relu : near);
      return near && !made.away && (made.pair || to == Type::F16 || to == Type::BF16);
    }
    if (is_whole(to) && is_whole(from))
      return !rounds && !whole && !made.flush && (!made.saturate || exceeds(from, to));
    if (is_whole(to) || is_whole(from)) {
      if (!is_real(to) && !is_real(from))
        return false;
      return (is_whole(to) ? whole && !rounds : rounds && !whole) && (!made.flush || single) &&
             (!brain || (!made.saturate && bytes_of(to) > 1 && bytes_of(from) > 1));
    }
    if (!is_real(to) || !is_real(from) || (made.flush && !single) || (made.saturate && brain))
      return false;
    if (to == from)
      return !rounds;
    // What is narrower is rounded; to and from bfloat16 it may be where it is exact.
    const bool narrows = bytes_of(to) <= bytes_of(from);
    return !whole && (narrows ? rounds : !rounds || brain);
  }
};

} // namespace

std::optional<Conversion> conversion_of(const Parts &parts) {
  Suffixes suffixes;
  if (!suffixes.read(parts) || !suffixes.go_together())
    return std::nullopt;
  if (suffixes.made.pair)
    suffixes.made.to = suffixes.made.to == Type::F16x2 ? Type::F16 : Type::BF16;
  return suffixes.made;
}

} // namespace quern::ptx

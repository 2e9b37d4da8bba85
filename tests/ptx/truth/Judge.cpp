#include "tests/ptx/truth/Case.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <bit>
#include <cmath>

namespace quern::ptx {
namespace {

double half(u32 bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31);
  const double fraction = bits & 0x3ff;
  const double value = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                       : exponent == 0 ? std::ldexp(fraction, -24)
                                       : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

// The numbers of a result.
std::vector<double> numbers(u64 word, Type type) {
  const auto low = static_cast<u32>(word);
  switch (type) {
  case Type::F64:
    return {std::bit_cast<double>(word)};
  case Type::F16:
    return {half(low & 0xffff)};
  case Type::F16x2:
    return {half(low & 0xffff), half(low >> 16)};
  case Type::BF16:
    return {std::bit_cast<float>(low << 16)};
  case Type::BF16x2:
    return {std::bit_cast<float>(low << 16), std::bit_cast<float>(low & 0xffff0000)};
  default:
    return {std::bit_cast<float>(low)};
  }
}

bool near(double given, double expected, double most) {
  if (std::isnan(given) || std::isnan(expected))
    return std::isnan(given) && std::isnan(expected);
  return given == expected || std::fabs(given - expected) <= most;
}

} // namespace

std::string differ(const Case &c, const Answer &given, const Answer &expected,
                   const Answer *magnitudes) {
  const Judgement &how = c.judgement;
  if (how.kind == Judgement::open)
    return "";
  if (given.out.size() != expected.out.size())
    return absl::StrCat(c.name, ": ", given.out.size(), " words, not ", expected.out.size());
  size_t count = 0, first = 0;
  for (size_t i = 0; i < given.out.size(); ++i) {
    if (given.out[i] == expected.out[i])
      continue;
    bool same = how.kind != Judgement::bits;
    if (same) {
      const auto a = numbers(given.out[i], how.type), b = numbers(expected.out[i], how.type);
      for (size_t n = 0; n < a.size(); ++n) {
        const double size = how.kind == Judgement::product && magnitudes
                                ? numbers(magnitudes->out[i], how.type)[n]
                                : b[n];
        same = same && near(a[n], b[n], how.relative * std::fabs(size) + how.absolute);
      }
    }
    if (!same && count++ == 0)
      first = i;
  }
  if (count == 0)
    return "";
  const size_t thread = first % Case::kThreads;
  std::string text =
      absl::StrCat(c.name, ": ", count, " of ", given.out.size(), " results differ; result ",
                   first / Case::kThreads, " of thread ", thread, " is ",
                   absl::Hex(given.out[first]), ", not ", absl::Hex(expected.out[first]), ", of");
  for (size_t k = 0; k < c.operands; ++k)
    absl::StrAppend(&text, " ", absl::Hex(c.in[k * Case::kThreads + thread]));
  return text;
}

Case magnitudes_of(const Case &c) {
  Case made = c;
  const bool singles = absl::StrContains(c.name, ".tf32.");
  for (u64 &word : made.in)
    word &= singles ? 0x7fffffff : 0x7fff7fff;
  return made;
}

} // namespace quern::ptx

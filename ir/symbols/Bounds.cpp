#include "ir/symbols/Bounds.h"

#include <algorithm>

namespace quern::symbols {
namespace {

constexpr int64_t kLow = Interval::kNoLow, kHigh = Interval::kNoHigh;

bool is_infinite(int64_t value) { return value == kLow || value == kHigh; }

/// The bound, kept off the two values that mean that there is none.
int64_t clamped(__int128 value) {
  return static_cast<int64_t>(std::clamp<__int128>(value, kLow, kHigh));
}

int64_t plus(int64_t a, int64_t b) {
  if (is_infinite(a) || is_infinite(b))
    return is_infinite(a) ? a : b;
  return clamped(static_cast<__int128>(a) + b);
}

int64_t times(int64_t a, int64_t b) {
  if (a == 0 || b == 0)
    return 0;
  if (is_infinite(a) || is_infinite(b))
    return (a < 0) == (b < 0) ? kHigh : kLow;
  return clamped(static_cast<__int128>(a) * b);
}

Interval times(Interval a, Interval b) {
  const auto [low, high] = std::minmax(
      {times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)});
  return {low, high};
}

/// a divided by b, which is at least 1, rounded down; rounding towards zero lies within.
int64_t over(int64_t a, int64_t b) {
  if (is_infinite(a))
    return a;
  if (b == kHigh)
    return a < 0 ? -1 : 0;
  return a / b - (a % b != 0 && a < 0);
}

Interval of_atom_value(const Atom &atom, const Maxima &maxima) {
  switch (atom.kind) {
  case AtomKind::Symbol: {
    const auto found = maxima.find(atom.name);
    return {0, found == maxima.end() ? kHigh : std::max<int64_t>(found->second, 0)};
  }
  case AtomKind::FloorDiv:
  case AtomKind::TruncDiv: {
    const Interval a = bounds(atom.a, maxima);
    Interval b = bounds(atom.b, maxima);
    b = {std::max<int64_t>(b.low, 1), std::max<int64_t>(b.high, 1)};
    if (atom.non_negative)
      return {0, over(a.high, b.low)};
    const int64_t high = std::max(over(a.high, b.low), over(a.high, b.high));
    return {std::min(over(a.low, b.low), over(a.low, b.high)),
            atom.kind == AtomKind::TruncDiv ? std::max<int64_t>(high, plus(high, a.high < 0))
                                            : high};
  }
  case AtomKind::Min0: {
    const Interval a = bounds(atom.a, maxima);
    return {std::min<int64_t>(a.low, 0), std::min<int64_t>(a.high, 0)};
  }
  case AtomKind::IsZero:
  case AtomKind::IsNegative:
    break;
  }
  return {0, 1};
}

// Both bound the time that a long expression takes.
constexpr int kMostSteps = 3;
constexpr size_t kMostRelaxedTerms = 8;

bool non_negative(const Dim &dim, int steps);

/// Whether the product of the factors but the one at `but` is at least 0.
bool others_non_negative(const std::vector<AtomRef> &factors, size_t but) {
  for (size_t i = 0; i < factors.size(); ++i)
    if (i != but && !factors[i]->non_negative)
      return false;
  return true;
}

/// Whether `dim` is when one function in it is replaced by a bound that holds for all sizes: the
/// factor at `at` of `term`, which is a term of it.
bool non_negative_without(const Dim &dim, const Term &term, size_t at, int steps) {
  const Atom &atom = *term.factors[at];
  Term others = term;
  others.factors.erase(others.factors.begin() + static_cast<ptrdiff_t>(at));
  const Dim rest = dim - of_terms({term});
  const Dim k = of_terms({others});
  const bool grows = term.coefficient > 0;
  if (atom.kind == AtomKind::Min0) { // it is 0 or a, and at most either
    const bool with_zero = non_negative(rest, steps);
    return grows ? with_zero && non_negative(rest + k * atom.a, steps)
                 : with_zero || non_negative(rest + k * atom.a, steps);
  }
  if (atom.kind == AtomKind::FloorDiv && atom.b.is_constant()) {
    // (a - b + 1) / b <= floordiv(a, b) <= a / b
    const Dim a = grows ? atom.a - atom.b + 1 : atom.a;
    return non_negative(rest * atom.b + k * a, steps);
  }
  return false;
}

bool non_negative_relaxed(const Dim &dim, int steps) {
  if (dim.terms().size() > kMostRelaxedTerms)
    return false;
  for (const Term &term : dim.terms())
    for (size_t i = 0; i < term.factors.size(); ++i)
      if (others_non_negative(term.factors, i) && non_negative_without(dim, term, i, steps))
        return true;
  return false;
}

bool non_negative(const Dim &dim, int steps) {
  if (!dim.valid())
    return false;
  if (bounds(dim).low >= 0)
    return true;
  return steps > 0 && non_negative_relaxed(dim, steps - 1);
}

} // namespace

Interval bounds(const Dim &dim, const Maxima &maxima) {
  if (!dim.valid())
    return {};
  Interval sum{0, 0};
  for (const Term &term : dim.terms()) {
    Interval product{term.coefficient, term.coefficient};
    for (size_t i = 0; i < term.factors.size(); ++i)
      product = times(product, of_atom_value(*term.factors[i], maxima));
    sum = {plus(sum.low, product.low), plus(sum.high, product.high)};
  }
  return sum;
}

bool is_non_negative(const Dim &dim) { return non_negative(dim, kMostSteps); }

namespace {

Dim atom_within(const AtomRef &ref, const Maxima &maxima) {
  const Atom &atom = *ref;
  if (atom.kind == AtomKind::Symbol)
    return of_atom(ref);
  const Dim a = within(atom.a, maxima);
  const Interval range = bounds(a, maxima);
  switch (atom.kind) {
  case AtomKind::Symbol:
    break;
  case AtomKind::FloorDiv:
    return floordiv(a, within(atom.b, maxima));
  case AtomKind::TruncDiv:
    return truncdiv(a, within(atom.b, maxima));
  case AtomKind::Min0:
    return range.low >= 0 ? Dim(0) : range.high <= 0 ? a : min(0, a);
  case AtomKind::IsZero:
    return range.low > 0 || range.high < 0 ? Dim(0) : equal(a, 0);
  case AtomKind::IsNegative:
    return range.low >= 0 ? Dim(0) : range.high < 0 ? Dim(1) : less(a, 0);
  }
  return of_atom(ref);
}

} // namespace

Dim within(const Dim &dim, const Maxima &maxima) {
  if (!dim.valid())
    return dim;
  Dim sum = 0;
  for (const Term &term : dim.terms()) {
    Dim product = term.coefficient;
    for (const AtomRef &factor : term.factors)
      product *= atom_within(factor, maxima);
    sum += product;
  }
  // What grew too long stays as it was.
  return sum.valid() ? sum : dim;
}

} // namespace quern::symbols

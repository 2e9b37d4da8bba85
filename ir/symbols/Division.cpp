// Divisions in normal form: what divides comes out, common factors cancel, nested ones join.
#include "ir/symbols/Bounds.h"
#include "ir/symbols/Dim.h"

#include <algorithm>
#include <numeric>

namespace quern::symbols {
namespace {

uint64_t magnitude(int64_t value) {
  return value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
}

int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/// `factors` without those of `divisor`, or nothing where they are not all among them.
std::optional<std::vector<AtomRef>> without(const std::vector<AtomRef> &factors,
                                            const std::vector<AtomRef> &divisor) {
  std::vector<AtomRef> left;
  size_t next = 0;
  for (const AtomRef &factor : factors)
    if (next < divisor.size() && compare(*factor, *divisor[next]) == 0)
      ++next;
    else
      left.push_back(factor);
  if (next < divisor.size())
    return std::nullopt;
  return left;
}

/// a / b if b divides it, by long division on the leading terms.
std::optional<Dim> exact_quotient(Dim a, const Dim &b) {
  Dim quotient;
  const Term &lead = b.terms().front();
  for (size_t steps = 0; steps < Dim::kMostTerms && a.valid(); ++steps) {
    if (a.terms().empty())
      return quotient;
    const Term &first = a.terms().front();
    const auto factors = without(first.factors, lead.factors);
    if (!factors || first.coefficient % lead.coefficient != 0)
      return std::nullopt;
    const Dim part = of_terms({{first.coefficient / lead.coefficient, *factors}});
    quotient += part;
    a = a - part * b;
  }
  return std::nullopt;
}

/// The factors that all terms of both have.
std::vector<AtomRef> common_factors(const Dim &a, const Dim &b) {
  std::vector<AtomRef> common = b.terms().front().factors;
  for (const Dim *dim : {&a, &b})
    for (const Term &term : dim->terms()) {
      std::vector<AtomRef> both;
      std::set_intersection(common.begin(), common.end(), term.factors.begin(), term.factors.end(),
                            std::back_inserter(both),
                            [](const AtomRef &x, const AtomRef &y) { return compare(*x, *y) < 0; });
      common = both;
    }
  return common;
}

Dim over(const Dim &dim, const std::vector<AtomRef> &factors) {
  std::vector<Term> terms = dim.terms();
  for (Term &term : terms)
    term.factors = *without(term.factors, factors);
  return of_terms(std::move(terms));
}

/// floordiv by a number greater than 1.
Dim floordiv_constant(const Dim &a, int64_t b) {
  // What is a multiple comes out; of larger coefficients the remainder, with its sign, stays.
  std::vector<Term> out, in;
  int64_t rest = 0;
  uint64_t divisor = magnitude(b);
  for (const Term &term : a.terms()) {
    if (term.factors.empty()) {
      const int64_t floor = floor_of(term.coefficient, b);
      out.push_back({floor, {}});
      rest = term.coefficient - floor * b;
      continue;
    }
    if (const int64_t whole = term.coefficient / b)
      out.push_back({whole, term.factors});
    if (const int64_t part = term.coefficient % b) {
      in.push_back({part, term.factors});
      divisor = std::gcd(divisor, magnitude(part));
    }
  }
  const Dim whole = of_terms(std::move(out));
  if (in.empty())
    return whole;
  const auto by = static_cast<int64_t>(divisor);
  for (Term &term : in)
    term.coefficient /= by;
  rest = floor_of(rest, by);
  b /= by;
  in.push_back({rest, {}});
  const Dim part = of_terms(std::move(in));
  if (b == 1)
    return whole + part;
  if (part.terms().front().coefficient < 0) // floor(x / b) = -floor((b - 1 - x) / b)
    return whole - floordiv_constant(Dim(b - 1) - part, b);
  if (is_non_negative(part) && is_non_negative(Dim(b - 1) - part))
    return whole;
  // floor((floor(x / c) + rest) / b) = floor((x + c * rest) / (b * c))
  if (const Term &first = part.terms().front();
      first.coefficient == 1 && first.factors.size() == 1 &&
      first.factors[0]->kind == AtomKind::FloorDiv && part.terms().size() == (rest != 0 ? 2 : 1)) {
    const Atom &inner = *first.factors[0];
    if (inner.b.is_constant())
      return whole + floordiv(inner.a + inner.b * Dim(rest), inner.b * Dim(b));
  }
  return whole + make_function(AtomKind::FloorDiv, part, b);
}

} // namespace

Dim floordiv(const Dim &a, const Dim &b) {
  if (!a.valid() || !b.valid() || b.is(0))
    return Dim::invalid();
  if (a.is(0) || b.is(1))
    return a;
  if (const auto constant = b.constant()) {
    if (*constant < 0)
      return *constant == INT64_MIN ? Dim::invalid() : floordiv(-a, -b);
    return floordiv_constant(a, *constant);
  }
  if (b.terms().front().coefficient < 0)
    return floordiv(-a, -b);
  if (const auto quotient = exact_quotient(a, b))
    return *quotient;
  if (b.terms().size() == 1) { // the terms that it divides come out
    std::vector<Term> out, in;
    const Term &divisor = b.terms()[0];
    for (const Term &term : a.terms()) {
      const auto factors = without(term.factors, divisor.factors);
      if (factors && term.coefficient % divisor.coefficient == 0)
        out.push_back({term.coefficient / divisor.coefficient, *factors});
      else
        in.push_back(term);
    }
    if (!out.empty())
      return of_terms(std::move(out)) + floordiv(of_terms(std::move(in)), b);
  }
  if (const auto common = common_factors(a, b); !common.empty())
    return floordiv(over(a, common), over(b, common));
  uint64_t divisor = 0;
  for (const Dim *dim : {&a, &b})
    for (const Term &term : dim->terms())
      divisor = std::gcd(divisor, magnitude(term.coefficient));
  if (divisor > 1 && divisor <= INT64_MAX) {
    const Dim by(static_cast<int64_t>(divisor));
    return floordiv(*exact_quotient(a, by), *exact_quotient(b, by));
  }
  if (a.terms().front().coefficient < 0)
    return -floordiv(b - 1 - a, b);
  if (is_non_negative(a) && is_non_negative(b - 1 - a))
    return 0;
  return make_function(AtomKind::FloorDiv, a, b);
}

Dim ceildiv(const Dim &a, const Dim &b) { return -floordiv(-a, b); }

Dim mod(const Dim &a, const Dim &b) { return a - b * floordiv(a, b); }

Dim truncdiv(const Dim &a, const Dim &b) {
  if (!a.valid() || !b.valid() || b.is(0))
    return Dim::invalid();
  if (const auto constant = b.constant(); constant && *constant < 0)
    return *constant == INT64_MIN ? Dim::invalid() : truncdiv(-a, -b);
  if (is_non_negative(a))
    return floordiv(a, b);
  if (is_non_negative(-a))
    return -floordiv(-a, b);
  if (b.is(1))
    return a;
  return make_function(AtomKind::TruncDiv, a, b);
}

} // namespace quern::symbols

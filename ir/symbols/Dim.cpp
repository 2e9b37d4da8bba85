#include "ir/symbols/Dim.h"

#include "ir/symbols/Bounds.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <numeric>

namespace quern::symbols {
namespace {

bool is_indicator(const Atom &atom) {
  return atom.kind == AtomKind::IsZero || atom.kind == AtomKind::IsNegative;
}

bool is_before(const AtomRef &a, const AtomRef &b) { return compare(*a, *b) < 0; }

/// Sorts them; 1 and 0 are their own powers.
void sort_factors(std::vector<AtomRef> &factors) {
  std::sort(factors.begin(), factors.end(), is_before);
  const auto same = [](const AtomRef &a, const AtomRef &b) {
    return is_indicator(*a) && compare(*a, *b) == 0;
  };
  factors.erase(std::unique(factors.begin(), factors.end(), same), factors.end());
}

/// The greatest number that divides all coefficients; 0 for an expression that is 0.
int64_t content(const Dim &dim) {
  uint64_t divisor = 0;
  for (const Term &term : dim.terms()) {
    const auto c = static_cast<uint64_t>(term.coefficient);
    divisor = std::gcd(divisor, term.coefficient < 0 ? -c : c);
  }
  return divisor > INT64_MAX ? 1 : static_cast<int64_t>(divisor);
}

Dim divided(const Dim &dim, int64_t by) {
  std::vector<Term> terms = dim.terms();
  for (Term &term : terms)
    term.coefficient /= by;
  return of_terms(std::move(terms));
}

bool leads_negative(const Dim &dim) {
  return !dim.terms().empty() && dim.terms().front().coefficient < 0;
}

/// min(0, d).
Dim min0(const Dim &d) {
  if (!d.valid() || is_non_negative(-d))
    return d;
  if (is_non_negative(d))
    return 0;
  if (leads_negative(d))
    return d + min0(-d);
  const int64_t factor = content(d);
  return Dim(factor) * make_function(AtomKind::Min0, divided(d, factor));
}

/// d < 0.
Dim is_negative(const Dim &d) {
  if (!d.valid())
    return d;
  if (is_non_negative(d))
    return 0;
  if (is_non_negative(-d - 1))
    return 1;
  if (leads_negative(d))
    return Dim(1) - is_negative(-d - 1);
  return make_function(AtomKind::IsNegative, d);
}

} // namespace

Dim::Dim(int64_t constant) {
  if (constant != 0)
    terms_.push_back({constant, {}});
}

Dim Dim::symbol(std::string_view name) {
  auto atom = std::make_shared<Atom>();
  atom->name = std::string(name);
  return of_atom(std::move(atom));
}

Dim Dim::invalid() {
  Dim dim;
  dim.valid_ = false;
  return dim;
}

std::optional<int64_t> Dim::constant() const {
  if (!is_constant())
    return std::nullopt;
  return terms_.empty() ? 0 : terms_[0].coefficient;
}

std::optional<std::string> Dim::symbol_name() const {
  if (!valid_ || terms_.size() != 1 || terms_[0].coefficient != 1 ||
      terms_[0].factors.size() != 1 || terms_[0].factors[0]->kind != AtomKind::Symbol)
    return std::nullopt;
  return terms_[0].factors[0]->name;
}

int Dim::depth() const {
  int depth = 0;
  for (const Term &term : terms_)
    for (const AtomRef &factor : term.factors)
      depth = std::max(depth, factor->depth);
  return depth;
}

int64_t Dim::size() const {
  int64_t size = 0;
  for (const Term &term : terms_)
    for (const AtomRef &factor : term.factors)
      size += factor->size;
  return size;
}

std::set<std::string> Dim::symbols() const {
  std::set<std::string> names;
  for (const Term &term : terms_)
    for (const AtomRef &factor : term.factors) {
      if (factor->kind == AtomKind::Symbol)
        names.insert(factor->name);
      names.merge(factor->a.symbols());
      names.merge(factor->b.symbols());
    }
  return names;
}

std::strong_ordering compare_factors(const std::vector<AtomRef> &a, const std::vector<AtomRef> &b) {
  if (a.size() != b.size())
    return b.size() <=> a.size(); // the highest degree first
  for (size_t i = 0; i < a.size(); ++i)
    if (const auto order = a[i] == b[i] ? std::strong_ordering::equal : compare(*a[i], *b[i]);
        order != 0)
      return order;
  return std::strong_ordering::equal;
}

std::strong_ordering compare(const Dim &a, const Dim &b) {
  if (a.terms().size() != b.terms().size())
    return a.terms().size() <=> b.terms().size();
  for (size_t i = 0; i < a.terms().size(); ++i) {
    const Term &x = a.terms()[i], &y = b.terms()[i];
    if (const auto order = compare_factors(x.factors, y.factors); order != 0)
      return order;
    if (x.coefficient != y.coefficient)
      return x.coefficient <=> y.coefficient;
  }
  return std::strong_ordering::equal;
}

std::strong_ordering compare(const Atom &a, const Atom &b) {
  if (a.kind != b.kind)
    return a.kind <=> b.kind;
  if (a.kind == AtomKind::Symbol)
    return a.name.compare(b.name) <=> 0;
  const auto order = compare(a.a, b.a);
  return order != 0 ? order : compare(a.b, b.b);
}

bool operator==(const Dim &a, const Dim &b) { return a.valid_ && b.valid_ && compare(a, b) == 0; }

Dim of_terms(std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(),
            [](const Term &a, const Term &b) { return compare_factors(a.factors, b.factors) < 0; });
  Dim sum;
  for (Term &term : terms) {
    if (term.factors.size() > Dim::kMostFactors)
      return Dim::invalid();
    if (!sum.terms_.empty() && compare_factors(sum.terms_.back().factors, term.factors) == 0) {
      int64_t &total = sum.terms_.back().coefficient;
      if (__builtin_add_overflow(total, term.coefficient, &total))
        return Dim::invalid();
      if (total == 0)
        sum.terms_.pop_back();
    } else if (term.coefficient != 0) {
      sum.terms_.push_back(std::move(term));
    }
  }
  return sum.terms_.size() > Dim::kMostTerms || sum.size() > Dim::kMostSize ? Dim::invalid() : sum;
}

Dim make_function(AtomKind kind, const Dim &a, const Dim &b) {
  auto atom = std::make_shared<Atom>();
  atom->kind = kind;
  atom->a = a;
  atom->b = b;
  atom->depth = 1 + std::max(a.depth(), b.depth());
  atom->size = 1 + a.size() + b.size();
  const bool divides = kind == AtomKind::FloorDiv || kind == AtomKind::TruncDiv;
  atom->non_negative = divides ? is_non_negative(a) : kind != AtomKind::Min0;
  return of_atom(std::move(atom));
}

Dim of_atom(AtomRef atom) {
  if (atom->depth > Dim::kMostDepth || atom->size > Dim::kMostSize || !atom->a.valid() ||
      !atom->b.valid())
    return Dim::invalid();
  Dim dim;
  dim.terms_.push_back({1, {std::move(atom)}});
  return dim;
}

Dim operator+(const Dim &a, const Dim &b) {
  if (!a.valid_ || !b.valid_)
    return Dim::invalid();
  std::vector<Term> terms = a.terms_;
  terms.insert(terms.end(), b.terms_.begin(), b.terms_.end());
  return of_terms(std::move(terms));
}

Dim operator-(const Dim &a, const Dim &b) { return a + Dim(-1) * b; }

Dim operator*(const Dim &a, const Dim &b) {
  if (!a.valid_ || !b.valid_)
    return Dim::invalid();
  std::vector<Term> terms;
  for (const Term &x : a.terms_)
    for (const Term &y : b.terms_) {
      Term &term = terms.emplace_back();
      if (__builtin_mul_overflow(x.coefficient, y.coefficient, &term.coefficient) ||
          x.factors.size() + y.factors.size() > Dim::kMostFactors)
        return Dim::invalid();
      term.factors = x.factors;
      term.factors.insert(term.factors.end(), y.factors.begin(), y.factors.end());
      sort_factors(term.factors);
    }
  return of_terms(std::move(terms));
}

Dim min(const Dim &a, const Dim &b) { return a + min0(b - a); }
Dim max(const Dim &a, const Dim &b) { return a - min0(a - b); }

Dim equal(const Dim &a, const Dim &b) {
  const Dim d = leads_negative(a - b) ? b - a : a - b;
  if (!d.valid())
    return d;
  if (d.is(0))
    return 1;
  if (is_non_negative(d - 1) || is_non_negative(-d - 1))
    return 0;
  // A multiple of a number is never what that number does not divide.
  std::vector<Term> varying = d.terms();
  if (varying.back().factors.empty()) {
    const int64_t rest = varying.back().coefficient;
    varying.pop_back();
    if (rest % content(of_terms(varying)) != 0)
      return 0;
  }
  return make_function(AtomKind::IsZero, divided(d, content(d)));
}

Dim less(const Dim &a, const Dim &b) { return is_negative(a - b); }

Dim choose(const Dim &condition, const Dim &yes, const Dim &no) {
  if (const auto known = condition.constant())
    return *known != 0 ? yes : no;
  return no + condition * (yes - no);
}

Dim substitute(const Dim &dim,
               const std::function<std::optional<Dim>(const std::string &)> &replacement) {
  if (!dim.valid())
    return dim;
  // Added up at once: a sum of sums is sorted again for each of its terms.
  std::vector<Term> terms;
  for (const Term &term : dim.terms()) {
    const bool stays = std::ranges::all_of(term.factors, [&](const AtomRef &factor) {
      return factor->kind == AtomKind::Symbol && !replacement(factor->name);
    });
    if (stays) {
      terms.push_back(term);
      continue;
    }
    Dim product = term.coefficient;
    for (const AtomRef &factor : term.factors) {
      const Dim a = substitute(factor->a, replacement), b = substitute(factor->b, replacement);
      switch (factor->kind) {
      case AtomKind::Symbol:
        product *= replacement(factor->name).value_or(of_atom(factor));
        break;
      case AtomKind::FloorDiv:
        product *= floordiv(a, b);
        break;
      case AtomKind::TruncDiv:
        product *= truncdiv(a, b);
        break;
      case AtomKind::Min0:
        product *= min0(a);
        break;
      case AtomKind::IsZero:
        product *= equal(a, 0);
        break;
      case AtomKind::IsNegative:
        product *= is_negative(a);
        break;
      }
    }
    if (!product.valid())
      return product;
    terms.insert(terms.end(), product.terms().begin(), product.terms().end());
  }
  return of_terms(std::move(terms));
}

} // namespace quern::symbols

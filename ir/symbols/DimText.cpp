// Expressions as text, and their values.
#include "ir/symbols/Dim.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <array>

namespace quern::symbols {
namespace {

bool is_name(std::string_view text) {
  if (text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0])))
    return false;
  for (const char c : text)
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.')
      return false;
  return true;
}

/// A name that is none of a program's stands in quotes.
std::string name_text(const std::string &name) {
  if (is_name(name))
    return name;
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\')
      text += '\\';
    text += c;
  }
  return text + '"';
}

std::string call_text(const char *function, const Dim &a, const Dim &b) {
  return absl::StrCat(function, "(", a.text(), ", ", b.text(), ")");
}

std::string atom_text(const Atom &atom) {
  switch (atom.kind) {
  case AtomKind::Symbol:
    return name_text(atom.name);
  case AtomKind::FloorDiv: {
    const Dim rest = atom.a - atom.b + 1;
    if (rest.valid() && rest.terms().size() < atom.a.terms().size())
      return call_text("ceildiv", rest, atom.b);
    return call_text("floordiv", atom.a, atom.b);
  }
  case AtomKind::TruncDiv:
    return call_text("truncdiv", atom.a, atom.b);
  case AtomKind::Min0:
    return call_text("min", 0, atom.a);
  case AtomKind::IsZero:
    return call_text("equal", atom.a, 0);
  case AtomKind::IsNegative:
    return call_text("less", atom.a, 0);
  }
  return "";
}

/// A sum with +-min(0, d) in it is a minimum or maximum of two sums.
std::optional<std::string> extremum_text(const Dim &dim) {
  for (const Term &term : dim.terms()) {
    if (term.factors.size() != 1 || term.factors[0]->kind != AtomKind::Min0 ||
        (term.coefficient != 1 && term.coefficient != -1))
      continue;
    const Dim rest = dim - of_terms({term});
    const Dim other = rest + Dim(term.coefficient) * term.factors[0]->a;
    if (other.valid())
      return call_text(term.coefficient > 0 ? "min" : "max", rest, other);
  }
  return std::nullopt;
}

absl::StatusOr<int64_t> overflow() { return absl::OutOfRangeError("it does not fit in 64 bits"); }

absl::StatusOr<int64_t> evaluate_atom(const Atom &atom,
                                      const std::map<std::string, int64_t> &sizes) {
  if (atom.kind == AtomKind::Symbol) {
    const auto found = sizes.find(atom.name);
    if (found == sizes.end())
      return absl::NotFoundError(absl::StrCat("there is no size for ", name_text(atom.name)));
    return found->second;
  }
  const auto a = evaluate(atom.a, sizes), b = evaluate(atom.b, sizes);
  if (!a.ok() || !b.ok())
    return a.ok() ? b : a;
  if (atom.kind == AtomKind::Min0)
    return std::min<int64_t>(*a, 0);
  if (atom.kind == AtomKind::IsZero)
    return *a == 0;
  if (atom.kind == AtomKind::IsNegative)
    return *a < 0;
  if (*b == 0)
    return absl::InvalidArgumentError(
        absl::StrCat("it divides by ", atom.b.text(), ", which is 0"));
  if (*a == INT64_MIN && *b == -1)
    return overflow();
  const bool down = atom.kind == AtomKind::FloorDiv && *a % *b != 0 && (*a < 0) != (*b < 0);
  return *a / *b - down;
}

/// A recursive descent over one text, whose depth and so work are bounded.
class Parser {
public:
  explicit Parser(std::string_view text) : rest_(text) {}

  absl::StatusOr<Dim> parse() {
    const Dim dim = sum(0);
    skip_space();
    if (failed_ || !rest_.empty() || !dim.valid())
      return absl::InvalidArgumentError("it is no expression of sizes");
    return dim;
  }

private:
  void skip_space() {
    while (!rest_.empty() && absl::ascii_isspace(static_cast<unsigned char>(rest_.front())))
      rest_.remove_prefix(1);
  }

  bool take(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token))
      return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  Dim fail() {
    failed_ = true;
    rest_ = {};
    return Dim::invalid();
  }

  Dim sum(int depth) {
    if (depth > kMostDepth)
      return fail();
    Dim total = product(depth);
    while (!failed_)
      if (take("+"))
        total += product(depth);
      else if (take("-"))
        total = total - product(depth);
      else
        break;
    return total;
  }

  Dim product(int depth) {
    Dim total = factor(depth);
    while (!failed_)
      if (take("**"))
        return fail();
      else if (take("*"))
        total *= factor(depth);
      else if (take("//"))
        total = floordiv(total, factor(depth));
      else if (take("%"))
        total = mod(total, factor(depth));
      else
        break;
    return total;
  }

  Dim factor(int depth) {
    bool negative = false;
    while (take("-"))
      negative = !negative;
    const Dim value = operand(depth);
    return negative ? -value : value;
  }

  Dim operand(int depth) {
    if (take("(")) {
      const Dim inner = sum(depth + 1);
      return take(")") ? inner : fail();
    }
    if (take("\""))
      return quoted();
    skip_space();
    size_t length = 0;
    while (length < rest_.size() &&
           (absl::ascii_isalnum(static_cast<unsigned char>(rest_[length])) ||
            rest_[length] == '_' || rest_[length] == '.'))
      ++length;
    const std::string word(rest_.substr(0, length));
    rest_.remove_prefix(length);
    if (word.empty())
      return fail();
    if (int64_t number = 0; absl::SimpleAtoi(word, &number))
      return number;
    if (take("("))
      return call(absl::AsciiStrToLower(word), depth);
    return is_name(word) ? Dim::symbol(word) : fail();
  }

  Dim quoted() {
    std::string name;
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return Dim::symbol(name);
      }
      if (rest_[i] == '\\')
        ++i;
      if (i < rest_.size())
        name += rest_[i];
    }
    return fail();
  }

  Dim call(std::string_view function, int depth) {
    struct Function {
      std::string_view name;
      Dim (*of)(const Dim &, const Dim &);
    };
    static constexpr std::array<Function, 8> kFunctions = {{{"floordiv", floordiv},
                                                            {"ceildiv", ceildiv},
                                                            {"mod", mod},
                                                            {"truncdiv", truncdiv},
                                                            {"min", min},
                                                            {"max", max},
                                                            {"equal", equal},
                                                            {"less", less}}};
    for (const Function &known : kFunctions)
      if (known.name == function) {
        const Dim a = sum(depth + 1);
        if (!take(","))
          return fail();
        const Dim b = sum(depth + 1);
        return take(")") ? known.of(a, b) : fail();
      }
    return fail();
  }

  static constexpr int kMostDepth = 32;
  std::string_view rest_;
  bool failed_ = false;
};

} // namespace

std::string Dim::text() const {
  if (!valid_)
    return "?";
  if (const auto extremum = extremum_text(*this))
    return *extremum;
  std::string text;
  for (const Term &term : terms_) {
    const bool negative = term.coefficient < 0;
    absl::StrAppend(&text, text.empty() ? (negative ? "-" : "") : negative ? " - " : " + ");
    const std::string number = absl::StrCat(term.coefficient).substr(negative);
    std::string product = number == "1" && !term.factors.empty() ? "" : number;
    for (const AtomRef &factor : term.factors)
      absl::StrAppend(&product, product.empty() ? "" : "*", atom_text(*factor));
    text += product;
  }
  return text.empty() ? "0" : text;
}

absl::StatusOr<int64_t> evaluate(const Dim &dim, const std::map<std::string, int64_t> &sizes) {
  if (!dim.valid())
    return overflow();
  int64_t sum = 0;
  for (const Term &term : dim.terms()) {
    int64_t product = term.coefficient;
    for (const AtomRef &factor : term.factors) {
      const auto value = evaluate_atom(*factor, sizes);
      if (!value.ok())
        return value;
      if (__builtin_mul_overflow(product, *value, &product))
        return overflow();
    }
    if (__builtin_add_overflow(sum, product, &sum))
      return overflow();
  }
  return sum;
}

absl::StatusOr<Dim> parse_dim(std::string_view text) { return Parser(text).parse(); }

} // namespace quern::symbols

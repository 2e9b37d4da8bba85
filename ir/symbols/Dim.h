// Sizes that are known when a model is called: integer expressions over named symbols, each of
// which is at least 0.
//
// An expression is kept in a normal form: a sum of products, integer coefficients in front, of
// symbols and of the few functions that shapes are computed with. Two that have the same form are
// equal for all sizes; what the form cannot see equal may be equal all the same.
//
//   floordiv(a, b)   the greatest q with q*b <= a; b > 0. Multiples of b come out of it, so that
//                    mod(a, b), which is a - b*floordiv(a, b), and ceildiv cancel against it.
//   truncdiv(a, b)   the same rounded towards zero, where the sign of a is not known
//   min, max         written with min(0, d) alone: min(a, b) = a + min(0, b - a)
//   equal, less      1 or 0, so that a choice is a sum: c*a + (1 - c)*b
//
// A division assumes that its divisor is positive: a graph that divides by a size of 0 has no
// meaning. Arithmetic that overflows 64 bits, or grows beyond kMostTerms terms, kMostSize symbols
// and functions or kMostDepth levels of functions, gives an expression that is not valid(), and so
// does all that is computed of it: what a hostile file asks for costs bounded time.
#ifndef QUERN_IR_SYMBOLS_DIM_H
#define QUERN_IR_SYMBOLS_DIM_H

#include <absl/status/statusor.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace quern::symbols {

class Dim;

enum class AtomKind : uint8_t { Symbol, FloorDiv, TruncDiv, Min0, IsZero, IsNegative };

/// A symbol, or a function of expressions: floordiv(a, b), truncdiv(a, b), min(0, a), a == 0 and
/// a < 0.
struct Atom;
using AtomRef = std::shared_ptr<const Atom>;

/// coefficient * the product of the factors, which are sorted; a power is a factor several times.
struct Term {
  int64_t coefficient = 0;
  std::vector<AtomRef> factors;
};

class Dim {
public:
  static constexpr size_t kMostTerms = 48;
  static constexpr size_t kMostFactors = 12;
  static constexpr int64_t kMostSize = 300;
  static constexpr int kMostDepth = 8;

  Dim() = default;
  Dim(int64_t constant); // NOLINT(google-explicit-constructor): 3 is an expression
  static Dim symbol(std::string_view name);
  static Dim invalid();

  bool valid() const { return valid_; }
  bool is_constant() const {
    return valid_ && (terms_.empty() || (terms_.size() == 1 && terms_[0].factors.empty()));
  }
  std::optional<int64_t> constant() const;
  bool is(int64_t value) const { return constant() == value; }
  /// Its name, if the expression is one symbol and nothing else.
  std::optional<std::string> symbol_name() const;

  /// Highest degree first, constants last; none is zero and no two have the same factors.
  const std::vector<Term> &terms() const { return terms_; }
  int depth() const;    ///< how deep functions lie in each other; a symbol is 0
  int64_t size() const; ///< the symbols and functions in it, each as often as it is written

  /// The symbols in it, in functions too.
  std::set<std::string> symbols() const;

  /// "b*s", "past + s", "ceildiv(s, 8)", "min(512, s)"; parse_dim reads it back.
  std::string text() const;

  friend Dim operator+(const Dim &a, const Dim &b);
  friend Dim operator-(const Dim &a, const Dim &b);
  friend Dim operator*(const Dim &a, const Dim &b);
  Dim operator-() const { return Dim(0) - *this; }
  Dim &operator+=(const Dim &other) { return *this = *this + other; }
  Dim &operator*=(const Dim &other) { return *this = *this * other; }
  /// Of the forms; an expression that is not valid equals none.
  friend bool operator==(const Dim &a, const Dim &b);

private:
  friend Dim of_terms(std::vector<Term> terms);
  friend Dim of_atom(AtomRef atom);
  std::vector<Term> terms_;
  bool valid_ = true;
};

struct Atom {
  AtomKind kind = AtomKind::Symbol;
  std::string name; ///< of a symbol
  Dim a{}, b{};     ///< of a function
  int depth = 0;
  int64_t size = 1;
  bool non_negative = true; ///< for all sizes, as far as could be seen when it was made
};

/// The function of normalized arguments, as it stands.
Dim make_function(AtomKind kind, const Dim &a, const Dim &b = {});

std::strong_ordering compare(const Atom &a, const Atom &b);
std::strong_ordering compare(const Dim &a, const Dim &b);
/// The order of terms in a Dim, coefficients apart: it is one in which polynomials can be divided.
std::strong_ordering compare_factors(const std::vector<AtomRef> &a, const std::vector<AtomRef> &b);

/// Brings any terms into the normal form.
Dim of_terms(std::vector<Term> terms);
Dim of_atom(AtomRef atom);

Dim floordiv(const Dim &a, const Dim &b);
Dim ceildiv(const Dim &a, const Dim &b);
/// a - b*floordiv(a, b), which has b's sign, as Python's and ONNX's Mod of integers.
Dim mod(const Dim &a, const Dim &b);
/// The division of C and of ONNX's Div.
Dim truncdiv(const Dim &a, const Dim &b);
Dim min(const Dim &a, const Dim &b);
Dim max(const Dim &a, const Dim &b);
Dim equal(const Dim &a, const Dim &b); ///< 1 or 0
Dim less(const Dim &a, const Dim &b);  ///< 1 or 0
/// `yes` where `condition`, which is 1 or 0, is 1.
Dim choose(const Dim &condition, const Dim &yes, const Dim &no);

/// The expression with each symbol replaced by what `replacement` gives for it, if it does.
Dim substitute(const Dim &dim,
               const std::function<std::optional<Dim>(const std::string &)> &replacement);

/// Its value under sizes of all its symbols. Errors: a symbol without a size, a division by zero,
/// overflow.
absl::StatusOr<int64_t> evaluate(const Dim &dim, const std::map<std::string, int64_t> &sizes);

/// Reads what text() writes, and the spellings of exporters: // % Min Max.
absl::StatusOr<Dim> parse_dim(std::string_view text);

} // namespace quern::symbols

#endif // QUERN_IR_SYMBOLS_DIM_H

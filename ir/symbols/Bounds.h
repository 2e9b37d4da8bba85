// What is known of the least and the greatest value of an expression.
#ifndef QUERN_IR_SYMBOLS_BOUNDS_H
#define QUERN_IR_SYMBOLS_BOUNDS_H

#include "ir/symbols/Dim.h"

#include <cstdint>
#include <map>
#include <string>

namespace quern::symbols {

/// All integers from low to high; kNone at either end says that there is no bound.
struct Interval {
  static constexpr int64_t kNoLow = INT64_MIN, kNoHigh = INT64_MAX;
  int64_t low = kNoLow, high = kNoHigh;
  bool operator==(const Interval &) const = default;
};

/// The greatest value of each symbol; one that is absent has none. All are at least 0.
using Maxima = std::map<std::string, int64_t>;

/// An interval that holds the expression's values for all sizes within `maxima`. It may be wider
/// than need be: each function and term is bounded by itself.
Interval bounds(const Dim &dim, const Maxima &maxima = {});

/// An expression that has the same values for all sizes within `maxima`, with what they decide
/// decided: min(128, s) is s where s is at most 128.
Dim within(const Dim &dim, const Maxima &maxima);

/// Whether the expression is at least 0 for all sizes, as far as can be seen. Sees more than
/// bounds: s - floordiv(s, 2), and s - min(s, 5).
bool is_non_negative(const Dim &dim);

} // namespace quern::symbols

#endif // QUERN_IR_SYMBOLS_BOUNDS_H

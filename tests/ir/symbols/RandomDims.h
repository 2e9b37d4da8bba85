// Expressions at random, each with what it means: the same ones on every machine.
#ifndef QUERN_TESTS_IR_SYMBOLS_RANDOMDIMS_H
#define QUERN_TESTS_IR_SYMBOLS_RANDOMDIMS_H

#include "ir/symbols/Dim.h"

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>

namespace quern::symbols::test {

using Sizes = std::map<std::string, int64_t>;

/// An expression, and the function that it stands for.
struct Meant {
  Dim dim;
  std::function<int64_t(const Sizes &)> value;
};

class RandomDims {
public:
  explicit RandomDims(unsigned seed) : random_(seed) {}

  Meant next(int depth) {
    if (depth == 0 || random_() % 6 == 0)
      return leaf();
    const Meant a = next(depth - 1), b = next(depth - 1);
    const auto of = [&](Dim dim, auto op) -> Meant {
      return {std::move(dim),
              [=](const Sizes &sizes) { return op(a.value(sizes), b.value(sizes)); }};
    };
    const int64_t divisor = 1 + static_cast<int64_t>(random_() % 7);
    switch (random_() % 10) {
    case 0:
    case 1:
      return of(a.dim + b.dim, [](int64_t x, int64_t y) { return x + y; });
    case 2:
      return of(a.dim - b.dim, [](int64_t x, int64_t y) { return x - y; });
    case 3:
      return of(a.dim * b.dim, [](int64_t x, int64_t y) { return x * y; });
    case 4:
      return of(floordiv(a.dim, divisor), [=](int64_t x, int64_t) { return floor(x, divisor); });
    case 5:
      return of(mod(a.dim, divisor),
                [=](int64_t x, int64_t) { return x - divisor * floor(x, divisor); });
    case 6:
      return of(truncdiv(a.dim, divisor), [=](int64_t x, int64_t) { return x / divisor; });
    case 7:
      return of(min(a.dim, b.dim), [](int64_t x, int64_t y) { return std::min(x, y); });
    case 8:
      return of(max(a.dim, b.dim), [](int64_t x, int64_t y) { return std::max(x, y); });
    default:
      return random_() % 2
                 ? of(less(a.dim, b.dim), [](int64_t x, int64_t y) { return int64_t{x < y}; })
                 : of(equal(a.dim, b.dim), [](int64_t x, int64_t y) { return int64_t{x == y}; });
    }
  }

  Sizes sizes() {
    Sizes sizes;
    for (const char *name : {"b", "s", "t"})
      sizes[name] = static_cast<int64_t>(random_() % 4 == 0 ? random_() % 3 : random_() % 40);
    return sizes;
  }

private:
  static int64_t floor(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0); }

  Meant leaf() {
    if (random_() % 2) {
      const int64_t number = static_cast<int64_t>(random_() % 13) - 4;
      return {number, [=](const Sizes &) { return number; }};
    }
    const std::string name(1, "bst"[random_() % 3]);
    return {Dim::symbol(name), [=](const Sizes &sizes) { return sizes.at(name); }};
  }

  std::mt19937 random_;
};

} // namespace quern::symbols::test

#endif // QUERN_TESTS_IR_SYMBOLS_RANDOMDIMS_H

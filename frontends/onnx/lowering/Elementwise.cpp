// Functions of elements: arithmetic, comparisons, logic, bits.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <cmath>

namespace quern::onnx {
namespace {

using Unary = Scalar (*)(const Scalar &);
using Binary = Scalar (*)(const Scalar &, const Scalar &);

template <Unary function> void unary(NodeLowering &node) {
  node.set(node.arrays().map({node.in(0)}, node.out_type(), node.out_shape(),
                             [](const Scalars &e) { return function(e[0]); }));
}

template <Binary function> void binary(NodeLowering &node) {
  node.set(node.arrays().map({node.in(0), node.in(1)}, node.out_type(), node.out_shape(),
                             [](const Scalars &e) { return function(e[0], e[1]); }));
}

/// From the left, of any number: so many in one body, which generators go into as deep as it is
/// long.
template <Binary function> Array folded(NodeLowering &node) {
  constexpr size_t kMostTogether = 64;
  std::vector<Array> list = node.all();
  const auto fold = [](const Scalars &e) {
    Scalar all = e[0];
    for (size_t i = 1; i < e.size(); ++i)
      all = function(all, e[i]);
    return all;
  };
  while (list.size() > kMostTogether) {
    const auto end = list.begin() + kMostTogether;
    *std::prev(end) =
        node.arrays().map({list.begin(), end}, node.out_type(), node.out_shape(), fold);
    list.erase(list.begin(), std::prev(end));
  }
  return node.arrays().map(list, node.out_type(), node.out_shape(), fold);
}

template <Binary function> void many(NodeLowering &node) { node.set(folded<function>(node)); }

Scalar add(const Scalar &a, const Scalar &b) { return a + b; }
Scalar subtract(const Scalar &a, const Scalar &b) { return a - b; }
Scalar multiply(const Scalar &a, const Scalar &b) { return a * b; }
Scalar divide(const Scalar &a, const Scalar &b) {
  return a / (is_float(b.type) ? b : check_divisor(b));
}
Scalar both(const Scalar &a, const Scalar &b) { return a & b; }
Scalar either(const Scalar &a, const Scalar &b) { return a | b; }
Scalar one_of(const Scalar &a, const Scalar &b) { return a ^ b; }
Scalar greater_than(const Scalar &a, const Scalar &b) { return less(b, a); }
Scalar at_least(const Scalar &a, const Scalar &b) { return less_equal(b, a); }
Scalar negative(const Scalar &x) { return -x; }
Scalar inverted(const Scalar &x) { return !x; }
Scalar reciprocal(const Scalar &x) { return 1.0 / x; }
Scalar same(const Scalar &x) { return x; }

void mean_of(NodeLowering &node) {
  const double count = static_cast<double>(node.inputs());
  node.set(node.arrays().map({folded<add>(node)}, node.out_type(), node.out_shape(),
                             [&](const Scalars &e) { return e[0] / count; }));
}

/// With b's sign, or as C's fmod with a's.
void modulo(NodeLowering &node) {
  const bool fmod = node.integer("fmod", 0) != 0;
  node.set(node.arrays().map(
      {node.in(0), node.in(1)}, node.out_type(), node.out_shape(), [&](const Scalars &e) {
        const Scalar by = is_float(e[1].type) ? e[1] : check_divisor(e[1]);
        const Scalar left = rest(e[0], by);
        if (fmod || (!is_float(left.type) && !is_signed(left.type)))
          return left;
        const Scalar zero = number_like(left, 0);
        const Scalar differs = not_equal(left, zero) & (less(left, zero) ^ less(by, zero));
        return select(differs, left + by, left);
      }));
}

Scalar integer_power(const Scalar &x, const Scalar &exponent) {
  // Square and multiply; a negative power of what is neither 1 nor -1 is 0.
  Writer &w = *x.w;
  const Scalar one = integer_like(x, 1);
  const Scalar y = cast(exponent, ElementType::Int64);
  const Scalars found =
      loop(w, index(w, 0), index(w, 63), {one, x}, [&](const Scalar &bit, const Scalars &now) {
        Writer &inner = *bit.w;
        const Scalar amount{&inner, from_index(bit, ElementType::Int64).value, ElementType::Int64};
        const Scalar shifted = shift_right({&inner, y.value, y.type}, amount);
        const Scalar odd = equal(shifted & integer_like(shifted, 1), integer_like(shifted, 1));
        return Scalars{select(odd, now[0] * now[1], now[0]), now[1] * now[1]};
      });
  const Scalar zero = integer_like(x, 0), minus = integer_like(x, -1);
  const Scalar odd = equal(y & integer_like(y, 1), integer_like(y, 1));
  const Scalar unit =
      select(equal(x, one), one,
             select(equal(x, minus) & number(w, ElementType::Bool, is_signed(x.type)),
                    select(odd, minus, one), zero));
  return select(less(y, integer_like(y, 0)), unit, found[0]);
}

void power(NodeLowering &node) {
  const auto exponent = node.numbers(1);
  const bool squared = exponent && exponent->size() == 1 && (*exponent)[0] == 2;
  if (squared && node.out_shape() == node.shape(0))
    return node.set(node.arrays().map({node.in(0)}, node.out_type(),
                                      [](const Scalars &e) { return e[0] * e[0]; }));
  node.set(node.arrays().map(
      {node.in(0), node.in(1)}, node.out_type(), node.out_shape(), [](const Scalars &e) {
        const Scalar &x = e[0], &y = e[1];
        if (is_real(x.type)) {
          // A wider exponent counts in full.
          const ElementType wide = y.type == ElementType::Float64 ||
                                           (!is_float(y.type) && x.type == ElementType::Float64)
                                       ? ElementType::Float64
                                       : ElementType::Float32;
          return x.type == y.type ? pow(x, y) : cast(pow(cast(x, wide), cast(y, wide)), x.type);
        }
        if (is_float(y.type)) {
          // A power that is a whole number, but for the last digits, is that number: 3 to the 6th
          // is not cut to 728.
          const Scalar power = pow(cast(x, ElementType::Float64), cast(y, ElementType::Float64));
          const Scalar whole = round_even(power);
          const Scalar near = less_equal(abs(power - whole), abs(whole) * 1e-14);
          return cast(select(near, whole, power), x.type);
        }
        return integer_power(x, y);
      }));
}

void shift(NodeLowering &node) {
  const bool left = node.string("direction", "") == "LEFT";
  if (!left && node.string("direction", "") != "RIGHT")
    return node.refuse("its direction is neither LEFT nor RIGHT");
  node.set(node.arrays().map(
      {node.in(0), node.in(1)}, node.out_type(), node.out_shape(),
      [&](const Scalars &e) { return left ? shift_left(e[0], e[1]) : shift_right(e[0], e[1]); }));
}

void is_infinite(NodeLowering &node) {
  const bool up = node.integer("detect_positive", 1) != 0,
             down = node.integer("detect_negative", 1) != 0;
  node.set(node.arrays().map({node.in(0)}, ElementType::Bool, [&](const Scalars &e) {
    const Scalar x = is_small_float(e[0].type) ? cast(e[0], ElementType::Float32) : e[0];
    const Scalar never = number(*x.w, ElementType::Bool, 0);
    const Scalar above = up ? equal(x, HUGE_VAL) : never;
    return down ? above | equal(x, -HUGE_VAL) : above;
  }));
}

void is_no_number(NodeLowering &node) {
  node.set(node.arrays().map({node.in(0)}, ElementType::Bool, [](const Scalars &e) {
    return is_nan(is_small_float(e[0].type) ? cast(e[0], ElementType::Float32) : e[0]);
  }));
}

void where(NodeLowering &node) {
  node.set(node.arrays().map({node.in(0), node.in(1), node.in(2)}, node.out_type(),
                             node.out_shape(),
                             [](const Scalars &e) { return select(e[0], e[1], e[2]); }));
}

void clip(NodeLowering &node) {
  std::vector<Array> inputs = {node.in(0)};
  const bool low = node.has(1), high = node.has(2);
  for (size_t i = 1; i < 3; ++i)
    if (node.has(i)) // of one element, whatever its rank
      inputs.push_back(node.arrays().reshape(node.in(i), {}));
  node.set(node.arrays().map(inputs, node.out_type(), node.out_shape(), [&](const Scalars &e) {
    Scalar x = e[0];
    if (low || node.has_attribute("min"))
      x = max(x, low ? e[1] : number_like(x, node.number("min", 0)));
    if (high || node.has_attribute("max"))
      x = min(x, high ? e.back() : number_like(x, node.number("max", 0)));
    return x;
  }));
}

/// Inputs as they are, and in inference alone. Where the run says that elements are dropped, the
/// result is NaN: nothing that could be taken for one.
void dropout(NodeLowering &node) {
  Array x = node.in(0);
  if (node.has(2)) {
    const auto training = node.constants(2);
    const auto ratio = node.has(1) ? node.numbers(1) : std::vector<double>{0.5};
    const bool off = training && training->size() == 1 && (*training)[0] == 0;
    const bool none = ratio && ratio->size() == 1 && (*ratio)[0] == 0;
    if (!off && !none) {
      if (training && ratio)
        return node.refuse("it drops elements at random, as in training",
                           "export the model for inference (training_mode false)");
      node.note("how much it drops is an input of the run, and is taken to be nothing; where it is "
                "something, its result is NaN");
      std::optional<Array> share;
      if (node.has(1))
        share = node.in(1);
      const Array trains = node.in(2);
      x = node.arrays().map({x}, x.type, [&](const Scalars &e) {
        Writer &w = *e[0].w;
        const Scalar drops = Arrays::only(w, trains);
        const Scalar some =
            share ? !equal(Arrays::only(w, *share), 0.0) : number(w, ElementType::Bool, 1);
        return select(drops & some, number_like(e[0], std::nan("")), e[0]);
      });
    }
  }
  node.set(0, x);
  if (node.wants(1))
    node.set(1, node.arrays().filled(ElementType::Bool, node.out_shape(1), 1));
}

constexpr LoweringRow kRows[] = {
    {"Add", binary<add>, Takes::Numbers},
    {"Sub", binary<subtract>, Takes::Numbers},
    {"Mul", binary<multiply>, Takes::Numbers},
    {"Div", binary<divide>, Takes::Numbers},
    {"Mod", modulo, Takes::Numbers},
    {"Pow", power, Takes::Numbers},
    {"Sum", many<add>, Takes::Numbers},
    {"Mean", mean_of, Takes::Numbers},
    {"Max", many<max>, Takes::Numbers},
    {"Min", many<min>, Takes::Numbers},
    {"And", binary<both>, Takes::Bools},
    {"Or", binary<either>, Takes::Bools},
    {"Xor", binary<one_of>, Takes::Bools},
    {"Not", unary<inverted>, Takes::Bools},
    {"BitwiseAnd", binary<both>, Takes::Integers},
    {"BitwiseOr", binary<either>, Takes::Integers},
    {"BitwiseXor", binary<one_of>, Takes::Integers},
    {"BitwiseNot", unary<inverted>, Takes::Integers},
    {"BitShift", shift, Takes::Integers},
    {"Equal", binary<equal>},
    {"Less", binary<less>, Takes::Numbers},
    {"LessOrEqual", binary<less_equal>, Takes::Numbers},
    {"Greater", binary<greater_than>, Takes::Numbers},
    {"GreaterOrEqual", binary<at_least>, Takes::Numbers},
    {"IsNaN", is_no_number},
    {"IsInf", is_infinite},
    {"Where", where, Takes::Bools},
    {"Clip", clip, Takes::Numbers},
    {"Dropout", dropout},
    {"Identity", unary<same>},
    {"Abs", unary<abs>, Takes::Numbers},
    {"Neg", unary<negative>, Takes::Numbers},
    {"Sign", unary<sign>, Takes::Numbers},
    {"Reciprocal", unary<reciprocal>, Takes::Reals},
    {"Floor", unary<floor>, Takes::Reals},
    {"Ceil", unary<ceil>, Takes::Reals},
    {"Round", unary<round_even>, Takes::Reals},
    {"Sqrt", unary<sqrt>, Takes::Reals},
    {"Exp", unary<exp>, Takes::Reals},
    {"Log", unary<log>, Takes::Reals},
    {"Erf", unary<erf>, Takes::Reals},
    {"Sin", unary<sin>, Takes::Reals},
    {"Cos", unary<cos>, Takes::Reals},
    {"Tan", unary<tan>, Takes::Reals},
    {"Asin", unary<asin>, Takes::Reals},
    {"Acos", unary<acos>, Takes::Reals},
    {"Atan", unary<atan>, Takes::Reals},
    {"Sinh", unary<sinh>, Takes::Reals},
    {"Cosh", unary<cosh>, Takes::Reals},
    {"Tanh", unary<tanh>, Takes::Reals},
    {"Asinh", unary<asinh>, Takes::Reals},
    {"Acosh", unary<acosh>, Takes::Reals},
    {"Atanh", unary<atanh>, Takes::Reals},
};

} // namespace

std::span<const LoweringRow> elementwise_lowerings() { return kRows; }

} // namespace quern::onnx

// Fourier transforms.
//
// A transform of a fixed length is taken apart by the factors of the length, as Cooley and Tukey
// do: each part is a product with a small matrix of constants, which is what a CPU is best at. One
// of a length that a call chooses, or whose factors are large, is the sum that defines it, with a
// table of the roots of unity.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <functional>
#include <numbers>

namespace quern::onnx {
namespace {

/// Lengths up to this are one product.
constexpr int64_t kMostFactor = 32;
/// And this is the longest that may be one, where it has no factors.
constexpr int64_t kMostWhole = 90;
/// Larger tables are computed when the model runs.
constexpr int64_t kMostConstants = 1 << 15;

/// exp(sign * 2 pi i * turn), of which `imaginary` says which part.
Scalar root(const Scalar &turn, double sign, bool imaginary, ElementType type) {
  const Scalar angle = turn * (2 * std::numbers::pi);
  return cast(imaginary ? sin(angle) * sign : cos(angle), type);
}

/// [2, rows, 2, columns]: what the parts of a number (the first dimension) have to be multiplied
/// by, and added to the parts of the result (the third), to turn it by j*k of n parts of a whole
/// turn.
Array turns(Arrays &a, ElementType type, int64_t rows, int64_t columns, int64_t n, double sign) {
  const Shape shape = {2, rows, 2, columns};
  const double whole = 2 * std::numbers::pi / static_cast<double>(n);
  if (4 * rows * columns <= kMostConstants) {
    std::vector<double> values;
    for (int from = 0; from < 2; ++from)
      for (int64_t j = 0; j < rows; ++j)
        for (int to = 0; to < 2; ++to)
          for (int64_t k = 0; k < columns; ++k) {
            const double angle = static_cast<double>(j * k % n) * whole;
            values.push_back(from == to ? std::cos(angle)
                                        : (from == 0 ? sign : -sign) * std::sin(angle));
          }
    return a.numbers(type, values, shape);
  }
  return a.generate(type, shape, [&](Writer &w, const Scalars &at) {
    const Scalar part = rest(at[1] * at[3], index(w, n));
    const Scalar turn = from_index(part, ElementType::Float64) / static_cast<double>(n);
    const Scalar across = root(turn, sign, true, type);
    return select(equal(at[0], at[2]), root(turn, sign, false, type),
                  select(equal(at[0], 0.0), across, -across));
  });
}

int64_t factor_of(int64_t n) {
  for (int64_t factor = std::min(kMostFactor, n - 1); factor > 1; --factor)
    if (n % factor == 0)
      return factor;
  return 1;
}

/// The sum that defines it: [m, c, n] -> [m, 2, n].
Array by_sums(Arrays &a, const Array &x, double sign) {
  const Dim m = x.shape[0], n = x.shape[2];
  const Scalar size = a.size_index(n);
  const auto table = [&](bool imaginary) {
    return a.generate(x.type, {n}, [&](Writer &w, const Scalars &at) {
      const Scalar turn = from_index(at[0], ElementType::Float64) /
                          max(from_index(size, ElementType::Float64), 1.0);
      return root(turn, sign, imaginary, x.type);
    });
  };
  const Array cosines = table(false), sines = table(true);
  std::vector<Array> parts = {a.reshape(a.part(x, 1, 0, 1), {m, n})};
  if (x.shape[1].is(2))
    parts.push_back(a.reshape(a.part(x, 1, 1, 1), {m, n}));
  // Loops: the row, the part of the result, its place, the place summed over.
  const std::vector<std::vector<mlir::AffineExpr>> maps(parts.size(), {a.d(0), a.d(3)});
  return a.contract(parts, maps, 4, x.type, {m, 2, n}, 0, [&](const Scalar &sum, const Scalars &e) {
    Writer &w = *e[0].w;
    const Scalar at = rest(Arrays::place(w, 2) * Arrays::place(w, 3), size);
    const Scalar c = Arrays::element(w, cosines, {at});
    const Scalar s = Arrays::element(w, sines, {at});
    Scalar re = e[0] * c, im = e[0] * s;
    if (e.size() == 2) {
      re = re - e[1] * s;
      im = im + e[1] * c;
    }
    return sum + select(equal(Arrays::place(w, 1), 0.0), re, im);
  });
}

/// The transform of each row, [m, c, n] -> [m, 2, n], where c is 1 of real numbers and 2 of complex
/// ones. `sign` is -1, and 1 for the inverse, which is not divided by n.
Array transform(Arrays &a, const Array &x, double sign) {
  const Dim m = x.shape[0], c = x.shape[1];
  const auto length = x.shape[2].constant();
  const int64_t factor = length ? factor_of(*length) : 1;
  if (!length || (factor == 1 && *length > kMostWhole))
    return by_sums(a, x, sign);
  const int64_t n = *length;
  // The matrix of a transform of n numbers, [c * n, 2 * n].
  const auto matrix = [&](int64_t size) {
    const Array all = turns(a, x.type, size, size, size, sign);
    return a.reshape(a.part(all, 0, 0, c), {c * Dim(size), 2 * size});
  };
  if (n <= kMostFactor || factor == 1) {
    if (n == 0)
      return a.filled(x.type, {m, 2, n}, 0);
    return a.reshape(a.matmul(a.reshape(x, {m, c * Dim(n)}), matrix(n)), {m, 2, n});
  }
  const int64_t outer = factor, inner = n / factor;
  const Array columns = a.reshape(x, {m, c * Dim(outer), inner});
  const Array first = a.matmul(a.transpose(matrix(outer), {1, 0}), columns);
  // [m, k1, part, n2], turned by k1 * n2 of n.
  const Array split = a.transpose(a.reshape(first, {m, 2, outer, inner}), {0, 2, 1, 3});
  const Array by = turns(a, x.type, outer, inner, n, sign);
  const Shape row = {1, outer, 2, inner};
  const Array turned = a.map({a.part(split, 2, 0, 1), a.reshape(a.part(by, 0, 0, 1), row),
                              a.part(split, 2, 1, 1), a.reshape(a.part(by, 0, 1, 1), row)},
                             x.type, Shape{m, outer, 2, inner},
                             [](const Scalars &e) { return e[0] * e[1] + e[2] * e[3]; });
  const Array last = transform(a, a.reshape(turned, {m * Dim(outer), 2, inner}), sign);
  const Array places = a.transpose(a.reshape(last, {m, outer, 2, inner}), {0, 2, 3, 1});
  return a.reshape(places, {m, 2, n});
}

/// [m, c, l] -> [m, c, n]: what is too long is cut, and zeros are added to what is too short.
Array of_length(Arrays &a, const Array &x, const Dim &n) {
  const Dim kept = symbols::min(x.shape[2], n);
  const Dim zero = 0;
  return a.pad(a.part(x, 2, 0, kept), {zero, zero, zero}, {zero, zero, n - kept}, 0.0);
}

/// The half of a spectrum that a real signal has, each number counted as often as it is there: the
/// real part of what it is the transform of is that signal.
Array counted(Arrays &a, const Array &x, const Dim &n) {
  const Scalar size = a.size_index(n);
  return a.map({x}, x.type, [&](const Scalars &e) {
    // The first number, and the one in the middle, are there once.
    const Scalar at = Arrays::place(*e[0].w, 2);
    return select(equal(at, 0.0) | equal(at + at, size), e[0], e[0] * 2.0);
  });
}

struct Direction {
  bool inverse = false, one_sided = false;
};

/// The transform over rows [m, c, l], of length n: [m, 2 or 1, size].
Array spectrum(Arrays &a, const Array &x, const Direction &way, const Dim &n, const Dim &size) {
  const bool to_real = way.inverse && way.one_sided;
  Array signal = x;
  if (to_real)
    signal = counted(a, of_length(a, x, symbols::floordiv(n, 2) + 1), n);
  Array y = transform(a, of_length(a, signal, n), way.inverse ? 1 : -1);
  y = a.part(y, 2, 0, size);
  if (to_real)
    y = a.part(y, 1, 0, 1);
  if (!way.inverse)
    return y;
  if (const auto count = n.constant())
    return a.scale(y, 1.0 / std::max(static_cast<double>(*count), 1.0));
  const Scalar count = a.size_index(n);
  return a.map({y}, y.type,
               [&](const Scalars &e) { return e[0] / max(from_index(count, y.type), 1.0); });
}

/// The type that it is computed in.
ElementType real_type(ElementType type) {
  return type == ElementType::Float64 ? type : ElementType::Float32;
}

/// The lengths that a transform may have whose result has `size` places: `known`, or what input
/// `input` turns out to be.
std::vector<Dim> lengths(NodeLowering &node, size_t input, const Direction &way, const Dim &size) {
  if (const auto known = node.dims(input); known && known->size() == 1)
    return {(*known)[0]};
  if (!way.one_sided || way.inverse)
    return {size};
  // Half of it was kept, and which of two lengths it was the run says.
  std::vector<Dim> two = {size * Dim(2) - 1, size * Dim(2) - 2};
  if (two[1].constant().value_or(2) < 1)
    two.pop_back();
  return two;
}

/// One of several results, each with what has to be true of a number that the run gives.
struct Choice {
  Array result;
  std::vector<int64_t> axes; ///< that the input for the axis may name; none where it is known
  Dim length = Dim::invalid();
};

Array chosen(NodeLowering &node, const std::vector<Choice> &choices,
             const std::optional<Array> &axis, const std::optional<Array> &length) {
  Arrays &a = node.arrays();
  Array result = choices.front().result;
  for (size_t i = 1; i < choices.size(); ++i) {
    const Choice &choice = choices[i];
    const bool sized = length && choice.length.valid();
    const Scalar wanted = sized ? a.size_index(choice.length) : Scalar{};
    result =
        a.map({result, choice.result}, result.type, result.shape, [&](const Scalars &e) -> Scalar {
          Writer &w = *e[0].w;
          Scalar is_it = number(w, ElementType::Bool, 1);
          if (axis && !choice.axes.empty()) {
            const Scalar given = to_index(Arrays::only(w, *axis));
            is_it = equal(given, static_cast<double>(choice.axes[0])) |
                    equal(given, static_cast<double>(choice.axes[1]));
          }
          if (sized)
            is_it = is_it & equal(to_index(Arrays::only(w, *length)), wanted);
          return select(is_it, e[1], e[0]);
        });
  }
  return result;
}

void dft(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = a.cast(node.in(0), real_type(node.type(0)));
  const Sizes shape = node.out_shape();
  const size_t rank = x.rank();
  const Direction way = {.inverse = node.integer("inverse", 0) != 0,
                         .one_sided = node.integer("onesided", 0) != 0};
  const auto parts = x.shape.back().constant();
  if (!parts || *parts < 1 || *parts > 2)
    return node.refuse("the last dimension of its input is neither 1 nor 2",
                       "give real numbers a last dimension of 1, and complex ones one of 2");
  const bool by_attribute = node.version() < 20;
  const auto known_axis = node.constants(2);
  std::vector<size_t> axes;
  bool open = false;
  if (by_attribute || !node.has(2)) {
    axes.push_back(node.axis(by_attribute ? node.integer("axis", 1) : -2, rank));
  } else if (known_axis && known_axis->size() == 1) {
    axes.push_back(node.axis((*known_axis)[0], rank));
  } else {
    open = true;
    for (size_t i = 0; i + 1 < rank; ++i)
      axes.push_back(i);
  }
  if (node.refused())
    return;
  const bool sized = node.has(1);
  std::vector<Choice> choices;
  for (const size_t axis : axes) {
    if (axis + 1 == rank)
      return node.refuse("its axis is the one of real and imaginary parts");
    const Dim own = x.shape[axis];
    const Dim natural = way.inverse && way.one_sided ? (own - 1) * Dim(2) : own;
    std::vector<Dim> all = {natural};
    if (sized)
      all = lengths(node, 1, way, shape[axis]);
    for (const Dim &n : all) {
      const Dim size = way.one_sided && !way.inverse ? symbols::floordiv(n, 2) + 1 : n;
      bool fits = size == shape[axis];
      for (size_t i = 0; i + 1 < rank; ++i)
        fits &= i == axis || x.shape[i] == shape[i];
      if (open && !fits)
        continue;
      // The axis comes last, behind the parts; all others are rows.
      std::vector<size_t> order, back(rank);
      for (size_t i = 0; i + 1 < rank; ++i)
        if (i != axis)
          order.push_back(i);
      order.push_back(rank - 1);
      order.push_back(axis);
      Dim rows = 1;
      Sizes moved;
      for (size_t i = 0; i < rank; ++i) {
        back[order[i]] = i;
        if (i + 2 < rank) {
          rows *= x.shape[order[i]];
          moved.push_back(x.shape[order[i]]);
        }
      }
      const Array lines = a.reshape(a.transpose(x, order), {rows, *parts, own});
      const Array y = spectrum(a, lines, way, n, size);
      moved.push_back(y.shape[1]);
      moved.push_back(size);
      const auto at = static_cast<int64_t>(axis);
      choices.push_back(
          {.result = a.transpose(a.reshape(y, moved), back),
           .axes = open ? std::vector{at, at - static_cast<int64_t>(rank)} : std::vector<int64_t>{},
           .length = n});
    }
  }
  if (choices.empty())
    return node.refuse_unknown(2, "its axis");
  const bool open_length = sized && !node.dims(1);
  if (open || open_length)
    node.note(absl::StrCat("its axis or its length is an input of the run; its result is taken to "
                           "be ",
                           shape_text(shape), ", as the file says"));
  node.set(a.cast(chosen(node, choices, open ? std::optional(node.in(2)) : std::nullopt,
                         open_length ? std::optional(node.in(1)) : std::nullopt),
                  node.type(0)));
}

void stft(NodeLowering &node) {
  Arrays &a = node.arrays();
  Array x = a.cast(node.in(0), real_type(node.type(0)));
  if (x.rank() == 2)
    x = a.unsqueeze(x, 2);
  const Sizes shape = node.out_shape();
  const auto parts = x.rank() == 3 ? x.shape[2].constant() : std::nullopt;
  if (!parts || *parts < 1 || *parts > 2)
    return node.refuse("its signal is not [batch, length, 1] or [batch, length, 2]");
  const Direction way = {.inverse = false, .one_sided = node.integer("onesided", 1) != 0};
  const auto step_known = node.dims(1);
  const Array step = node.in(1);
  std::optional<Array> window;
  if (node.has(2))
    window = a.cast(node.in(2), x.type);
  std::vector<Dim> all;
  const bool open = node.has(3) && !node.dims(3) && !window;
  if (window)
    all = {window->shape[0]};
  else if (node.has(3))
    all = lengths(node, 3, way, shape[2]);
  else
    all = {x.shape[1]};
  if (!step_known || open)
    node.note(absl::StrCat("its steps or its length are an input of the run; its result is taken "
                           "to be ",
                           shape_text(shape), ", as the file says"));
  const Dim frames = shape[1];
  const Scalar signal = a.size_index(x.shape[1]);
  const Scalar fixed_step = step_known ? a.size_index((*step_known)[0]) : Scalar{};
  std::vector<Choice> choices;
  for (const Dim &n : all) {
    const Array cut =
        a.generate(x.type, {x.shape[0], frames, *parts, n}, [&](Writer &w, const Scalars &at) {
          const Scalar far = step_known ? fixed_step : to_index(Arrays::only(w, step));
          const Scalar place = at[1] * far + at[3];
          const Scalar e =
              Arrays::element(w, x, {at[0], max(min(place, signal - 1.0), 0.0), at[2]});
          const Scalar there = select(less(place, signal), e, number_like(e, 0));
          return window ? there * Arrays::element(w, *window, {at[3]}) : there;
        });
    const Dim size = way.one_sided ? symbols::floordiv(n, 2) + 1 : n;
    const Array rows = a.reshape(cut, {x.shape[0] * frames, *parts, n});
    const Array y = a.reshape(spectrum(a, rows, way, n, size), {x.shape[0], frames, 2, size});
    choices.push_back({.result = a.transpose(y, {0, 1, 3, 2}), .axes = {}, .length = n});
  }
  node.set(
      a.cast(chosen(node, choices, std::nullopt, open ? std::optional(node.in(3)) : std::nullopt),
             node.type(0)));
}

constexpr LoweringRow kRows[] = {
    {"DFT", dft, Takes::Reals, 2},
    {"STFT", stft, Takes::Reals, 2},
};

} // namespace

std::span<const LoweringRow> spectrum_lowerings() { return kRows; }

} // namespace quern::onnx

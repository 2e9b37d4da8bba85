// Each element, or part of an axis, once.
//
// Every row is compared with those in front of it: n rows cost n*n comparisons.
#include "frontends/onnx/lowering/NodeLowering.h"

namespace quern::onnx {
namespace {

/// What is compared: [how many, how long].
struct Rows {
  Array all;
  Scalar length;

  Scalar element(Writer &w, const Scalar &row, const Scalar &place) const {
    return Arrays::element(w, all, {row, place});
  }
  /// NaN is equal to itself, and larger than all others.
  Scalar same_element(const Scalar &a, const Scalar &b) const {
    return is_real(a.type) ? equal(a, b) | (is_nan(a) & is_nan(b)) : equal(a, b);
  }
  Scalar less_element(const Scalar &a, const Scalar &b) const {
    return is_real(a.type) ? less(a, b) | (is_nan(b) & !is_nan(a)) : less(a, b);
  }

  Scalar same(Writer &w, const Scalar &a, const Scalar &b) const {
    return loop(w, index(w, 0), length, {number(w, ElementType::Bool, 1)},
                [&](const Scalar &k, const Scalars &now) {
                  return Scalars{now[0] & same_element(element(*k.w, a, k), element(*k.w, b, k))};
                })[0];
  }
  /// By the first place in which they differ.
  Scalar before(Writer &w, const Scalar &a, const Scalar &b) const {
    const Scalar no = number(w, ElementType::Bool, 0), yes = number(w, ElementType::Bool, 1);
    return loop(w, index(w, 0), length, {no, yes}, [&](const Scalar &k, const Scalars &now) {
      const Scalar x = element(*k.w, a, k), y = element(*k.w, b, k);
      return Scalars{now[0] | (now[1] & less_element(x, y)), now[1] & same_element(x, y)};
    })[0];
  }
};

void unique(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const bool whole = !node.has_attribute("axis");
  const size_t axis = whole ? 0 : node.axis(node.integer("axis", 0), x.rank());
  // The axis comes first, and what is left is one.
  std::vector<size_t> order = {axis}, back(x.rank());
  for (size_t i = 0; i < x.rank(); ++i)
    if (i != axis)
      order.push_back(i);
  Dim all = 1, length = 1;
  for (size_t i = 0; i < x.rank(); ++i)
    (whole || i == axis ? all : length) *= x.shape[i];
  const Array moved = whole || x.rank() == 0 ? x : a.transpose(x, order);
  const Rows rows = {.all = a.reshape(moved, {all, length}), .length = a.size_index(length)};
  const Array first = a.generate(ElementType::Bool, {all}, [&](Writer &w, const Scalars &at) {
    return !loop(w, index(w, 0), at[0], {number(w, ElementType::Bool, 0)},
                 [&](const Scalar &k, const Scalars &now) {
                   return Scalars{now[0] | rows.same(*k.w, k, at[0])};
                 })[0];
  });
  const Dim count = node.out_shape(0)[axis];
  Array places = a.where_true(first, count);
  if (node.integer("sorted", 1) != 0) {
    const Array found = places;
    const Scalar size = a.size_index(count);
    const auto place = [](Writer &w, const Array &from, const Scalar &k) {
      return to_index(Arrays::element(w, from, {k}));
    };
    const Array ranks = a.generate(ElementType::Int64, {count}, [&](Writer &w, const Scalars &at) {
      const Scalar own = place(w, found, at[0]);
      const Scalar smaller =
          loop(w, index(w, 0), size, {index(w, 0)}, [&](const Scalar &k, const Scalars &now) {
            const Scalar is_smaller = rows.before(*k.w, place(*k.w, found, k), own);
            return Scalars{select(is_smaller, now[0] + 1.0, now[0])};
          })[0];
      return from_index(smaller, ElementType::Int64);
    });
    places = a.generate(ElementType::Int64, {count}, [&](Writer &w, const Scalars &at) {
      const Scalar which =
          loop(w, index(w, 0), size, {index(w, 0)}, [&](const Scalar &k, const Scalars &now) {
            const Scalar is_it = equal(place(*k.w, ranks, k), at[0]);
            return Scalars{select(is_it, place(*k.w, found, k), now[0])};
          })[0];
      return from_index(which, ElementType::Int64);
    });
  }
  const Scalar size = a.size_index(count), many = a.size_index(all);
  const auto place_of = [&](Writer &w, const Scalar &k) {
    return to_index(Arrays::element(w, places, {k}));
  };
  const Array chosen = a.generate(x.type, {count, length}, [&](Writer &w, const Scalars &at) {
    return rows.element(w, place_of(w, at[0]), at[1]);
  });
  Sizes split;
  for (size_t i = 0; i < order.size() && i < x.rank(); ++i) {
    split.push_back(i == 0 ? count : x.shape[order[i]]);
    back[order[i]] = i;
  }
  node.set(0, whole ? a.reshape(chosen, {count}) : a.transpose(a.reshape(chosen, split), back));
  node.set(1, places);
  if (node.wants(2))
    node.set(2, a.generate(ElementType::Int64, {all}, [&](Writer &w, const Scalars &at) {
      const Scalar which =
          loop(w, index(w, 0), size, {index(w, 0)}, [&](const Scalar &k, const Scalars &now) {
            return Scalars{select(rows.same(*k.w, place_of(*k.w, k), at[0]), k, now[0])};
          })[0];
      return from_index(which, ElementType::Int64);
    }));
  if (node.wants(3))
    node.set(3, a.generate(ElementType::Int64, {count}, [&](Writer &w, const Scalars &at) {
      const Scalar own = place_of(w, at[0]);
      const Scalar times =
          loop(w, index(w, 0), many, {index(w, 0)}, [&](const Scalar &k, const Scalars &now) {
            return Scalars{select(rows.same(*k.w, k, own), now[0] + 1.0, now[0])};
          })[0];
      return from_index(times, ElementType::Int64);
    }));
}

constexpr LoweringRow kRows[] = {{"Unique", unique, Takes::Any}};

} // namespace

std::span<const LoweringRow> unique_lowerings() { return kRows; }

} // namespace quern::onnx

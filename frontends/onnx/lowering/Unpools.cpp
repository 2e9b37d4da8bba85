// Pools taken back: elements at the places that they were the largest of.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <functional>

namespace quern::onnx {
namespace {

/// Where of a result the elements of a pool came from: the inverse of MaxPool with its indices.
struct Unpooling {
  Array x, places;
  Sizes shape, whole; ///< of the result, and what the indices count in
  std::vector<int64_t> kernel, strides, pads;
  std::vector<Scalar> wholes, sizes; ///< of `whole`, and of x

  /// Where an index is, in `whole`.
  Scalars indices(const Scalar &flat) const {
    Scalars at(whole.size());
    Scalar left = flat;
    for (size_t i = whole.size(); i-- > 1;) {
      at[i] = rest(left, wholes[i]);
      left = left / wholes[i];
    }
    at[0] = left;
    return at;
  }
};

/// Whether every index lies in the window that its element is the largest of.
Array stays_in_windows(Arrays &a, const Unpooling &u) {
  std::vector<mlir::AffineExpr> own;
  for (size_t i = 0; i < u.x.rank(); ++i)
    own.push_back(a.d(i));
  return a.contract({u.places}, {own}, u.x.rank(), ElementType::Bool, {}, 1,
                    [&](const Scalar &all, const Scalars &e) {
                      Writer &w = *e[0].w;
                      const Scalars at = u.indices(to_index(e[0]));
                      Scalar is_in = equal(at[0], Arrays::place(w, 0)) &
                                     equal(at[1], Arrays::place(w, 1)) & !less(e[0], 0.0);
                      for (size_t i = 0; i < u.kernel.size(); ++i) {
                        const Scalar first =
                            Arrays::place(w, 2 + i) * static_cast<double>(u.strides[i]) -
                            static_cast<double>(u.pads[i]);
                        is_in = is_in & less_equal(first, at[2 + i]) &
                                less(at[2 + i], first + static_cast<double>(u.kernel[i]));
                      }
                      return all & is_in;
                    });
}

/// The last element that is put to `flat`, which is at `at`, of the windows that reach it.
Scalar from_windows(Writer &w, const Unpooling &u, const Scalars &at, const Scalar &flat) {
  Scalar found = number(w, u.x.type, 0);
  Scalars from = {at[0], at[1]};
  const std::function<void(size_t, const Scalar &)> visit = [&](size_t i, const Scalar &there) {
    if (i == u.kernel.size()) {
      const Scalar is_it = there & equal(to_index(Arrays::element(w, u.places, from)), flat);
      found = select(is_it, Arrays::element(w, u.x, from), found);
      return;
    }
    const Scalar last =
        (at[2 + i] + static_cast<double>(u.pads[i])) / static_cast<double>(u.strides[i]);
    for (int64_t back = (u.kernel[i] - 1) / u.strides[i]; back >= 0; --back) {
      const Scalar place = last - static_cast<double>(back);
      from.push_back(max(min(place, u.sizes[2 + i] - 1.0), 0.0));
      visit(i + 1, there & greater_equal(place, 0.0) & less(place, u.sizes[2 + i]));
      from.pop_back();
    }
  };
  visit(0, number(w, ElementType::Bool, 1));
  return found;
}

void max_unpool(NodeLowering &node) {
  Arrays &a = node.arrays();
  Unpooling u;
  u.x = node.in(0);
  u.places = node.in(1);
  u.shape = node.out_shape();
  const size_t n = u.x.rank() - 2;
  u.kernel = node.integers("kernel_shape").value_or(std::vector<int64_t>());
  u.strides = node.integers("strides").value_or(std::vector<int64_t>(n, 1));
  u.pads = node.integers("pads").value_or(std::vector<int64_t>(2 * n, 0));
  if (u.kernel.size() != n || u.strides.size() != n || u.pads.size() != 2 * n)
    return node.refuse("its kernel_shape, strides and pads are not of its input",
                       "the model is not as its exporter meant it: export it again");
  u.whole = {u.x.shape[0], u.x.shape[1]};
  int64_t tries = 1;
  for (size_t i = 0; i < n; ++i) {
    if (u.kernel[i] < 1 || u.strides[i] < 1)
      return node.refuse("its kernel_shape and strides are not above 0",
                         "the model is not as its exporter meant it: export it again");
    u.whole.push_back((u.x.shape[2 + i] - 1) * Dim(u.strides[i]) + Dim(u.kernel[i]) -
                      Dim(u.pads[i]) - Dim(u.pads[n + i]));
    tries *= std::min<int64_t>((u.kernel[i] - 1) / u.strides[i] + 1, 1000);
  }
  Dim all = 1;
  for (size_t i = 0; i < u.x.rank(); ++i) {
    a.demand(u.places.shape[i], u.x.shape[i]);
    u.wholes.push_back(a.size_index(u.whole[i]));
    u.sizes.push_back(a.size_index(u.x.shape[i]));
    all *= u.x.shape[i];
  }
  if (node.has(2) && !node.dims(2))
    node.note(absl::StrCat("the shape of its result is an input of the run, and is taken to be ",
                           shape_text(u.shape), ", as the file says"));
  const Array values = a.reshape(u.x, {all}), places = a.reshape(u.places, {all});
  const Scalar count = a.size_index(all);
  constexpr int64_t kMostTries = 64;
  const bool by_windows = tries <= kMostTries;
  const Array regular = by_windows ? stays_in_windows(a, u) : Array{};
  node.set(a.generate(u.x.type, u.shape, [&](Writer &w, const Scalars &at) {
    // Indices count in the shape that the windows give, which is at the front of the result's.
    Scalar inside_it = number(w, ElementType::Bool, 1), flat = at[0];
    for (size_t i = 0; i < at.size(); ++i) {
      inside_it = inside_it & less(at[i], u.wholes[i]);
      if (i > 0)
        flat = flat * u.wholes[i] + at[i];
    }
    const auto search = [&] {
      return loop(w, index(w, 0), count, {number(w, u.x.type, 0)},
                  [&](const Scalar &k, const Scalars &now) {
                    const Scalar put = to_index(Arrays::element(*k.w, places, {k}));
                    return Scalars{
                        select(equal(put, flat), Arrays::element(*k.w, values, {k}), now[0])};
                  });
    };
    const Scalar found = by_windows
                             ? if_else(
                                   Arrays::only(w, regular),
                                   [&] { return Scalars{from_windows(w, u, at, flat)}; }, search)[0]
                             : search()[0];
    return select(inside_it, found, number_like(found, 0));
  }));
}

constexpr LoweringRow kRows[] = {{"MaxUnpool", max_unpool, Takes::Reals, 3}};

} // namespace

std::span<const LoweringRow> unpool_lowerings() { return kRows; }

} // namespace quern::onnx

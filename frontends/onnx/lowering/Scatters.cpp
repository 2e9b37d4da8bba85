// Elements put where indices say.
//
// Each element of the result looks for those that are put there, in their order: nothing is written
// twice, and what two are put to is what the last one, or the reduction, makes of it.
#include "frontends/onnx/lowering/Gathers.h"
#include "frontends/onnx/lowering/NodeLowering.h"
#include "frontends/onnx/lowering/Windows.h"

#include <absl/strings/str_cat.h>

namespace quern::onnx {
namespace {

std::optional<std::function<Scalar(const Scalar &, const Scalar &)>>
combination(NodeLowering &node) {
  const std::string how = node.string("reduction", "none");
  if (how == "none")
    return [](const Scalar &, const Scalar &now) { return now; };
  if (how == "add")
    return [](const Scalar &before, const Scalar &now) {
      return before.type == ElementType::Bool ? before | now : before + now;
    };
  if (how == "mul")
    return [](const Scalar &before, const Scalar &now) { return before * now; };
  if (how == "max")
    return [](const Scalar &before, const Scalar &now) { return max(before, now); };
  if (how == "min")
    return [](const Scalar &before, const Scalar &now) { return min(before, now); };
  node.refuse(absl::StrCat("its reduction is '", how, "'"));
  return std::nullopt;
}

/// What is outside of a loop, for use in it.
Scalar in_loop(Writer &w, const Scalar &x) { return {&w, x.value, x.type}; }

void scatter_elements(NodeLowering &node) {
  Arrays &a = node.arrays();
  const auto combine = combination(node);
  if (!combine)
    return;
  const Array x = node.in(0), indices = node.in(1), updates = node.in(2);
  const size_t axis = node.axis(node.integer("axis", 0), x.rank());
  const Scalar size = a.size_index(x.shape[axis]), count = a.size_index(indices.shape[axis]);
  std::vector<Scalar> limits;
  for (size_t i = 0; i < x.rank(); ++i) {
    limits.push_back(a.size_index(indices.shape[i]));
    a.demand(updates.shape[i], indices.shape[i]);
  }
  node.set(a.generate(x.type, x.shape, [&](Writer &w, const Scalars &at) {
    // Other axes may have fewer indices than elements.
    Scalar reached = number(w, ElementType::Bool, 1);
    for (size_t i = 0; i < at.size(); ++i)
      if (i != axis && indices.shape[i] != x.shape[i])
        reached = reached & less(at[i], limits[i]);
    const Scalar many = select(reached, count, index(w, 0));
    return loop(w, index(w, 0), many, {Arrays::element(w, x, at)},
                [&](const Scalar &k, const Scalars &now) {
                  Writer &inner = *k.w;
                  Scalars from;
                  for (const Scalar &place : at)
                    from.push_back(in_loop(inner, place));
                  from[axis] = k;
                  const Scalar to =
                      check_index(Arrays::element(inner, indices, from), in_loop(inner, size));
                  const Scalar put = (*combine)(now[0], Arrays::element(inner, updates, from));
                  return Scalars{select(equal(to, in_loop(inner, at[axis])), put, now[0])};
                })[0];
  }));
}

void scatter_nd(NodeLowering &node) {
  Arrays &a = node.arrays();
  const auto combine = combination(node);
  if (!combine)
    return;
  const Array x = node.in(0), indices = node.in(1), updates = node.in(2);
  const auto depth = indices.shape.back().constant();
  if (!depth)
    return node.refuse("how many indices an element has is known only when the model runs");
  const auto named = static_cast<size_t>(*depth);
  if (named > x.rank())
    return node.refuse("its indices are of more dimensions than what they are put in");
  Dim all = 1;
  for (size_t i = 0; i + 1 < indices.rank(); ++i)
    all *= indices.shape[i];
  // One row of indices for each update.
  const Array rows = a.reshape(indices, {all, *depth});
  Sizes flat = {all};
  flat.insert(flat.end(), x.shape.begin() + *depth, x.shape.end());
  const Array puts = a.reshape(updates, flat);
  const Scalar count = a.size_index(all);
  std::vector<Scalar> sizes;
  for (const Dim &dim : x.shape)
    sizes.push_back(a.size_index(dim));
  node.set(a.generate(x.type, x.shape, [&](Writer &w, const Scalars &at) {
    return loop(w, index(w, 0), count, {Arrays::element(w, x, at)},
                [&](const Scalar &k, const Scalars &now) {
                  Writer &inner = *k.w;
                  Scalar is_here = number(inner, ElementType::Bool, 1);
                  for (size_t i = 0; i < named; ++i) {
                    const Scalar given =
                        Arrays::element(inner, rows, {k, index(inner, static_cast<int64_t>(i))});
                    is_here = is_here & equal(check_index(given, in_loop(inner, sizes[i])),
                                              in_loop(inner, at[i]));
                  }
                  Scalars from = {k};
                  for (size_t i = named; i < at.size(); ++i)
                    from.push_back(in_loop(inner, at[i]));
                  const Scalar put = (*combine)(now[0], Arrays::element(inner, puts, from));
                  return Scalars{select(is_here, put, now[0])};
                })[0];
  }));
}

/// New rows of a cache, in a line or around a ring.
void tensor_scatter(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), update = node.in(1);
  const size_t axis = node.axis(node.integer("axis", -2), x.rank());
  const std::string mode = node.string("mode", "linear");
  if (mode != "linear" && mode != "circular")
    return node.refuse(absl::StrCat("its mode is '", mode, "'"));
  std::optional<Array> starts;
  if (node.has(2))
    starts = node.in(2);
  const Scalar size = a.size_index(x.shape[axis]), count = a.size_index(update.shape[axis]);
  for (size_t i = 0; i < x.rank(); ++i)
    if (i != axis)
      a.demand(update.shape[i], x.shape[i]);
  if (starts)
    a.demand(starts->shape[0], x.shape[0]);
  // Where all of the new rows fit behind it.
  const Scalar starts_there_are = a.size_index(x.shape[axis] - update.shape[axis] + 1);
  node.set(a.generate(x.type, x.shape, [&](Writer &w, const Scalars &at) {
    Scalar start = starts ? to_index(Arrays::element(w, *starts, {at[0]})) : index(w, 0);
    if (starts && mode == "linear")
      start = check_index(start, starts_there_are, false);
    Scalar behind = at[axis] - start;
    if (mode == "circular") {
      const Scalar left = rest(behind, size);
      behind = select(less(left, 0.0), left + size, left);
    }
    Scalars from = at;
    from[axis] = max(min(behind, count - 1.0), 0.0);
    const Scalar is_new = greater_equal(behind, 0.0) & less(behind, count);
    return select(is_new, Arrays::element(w, update, from), Arrays::element(w, x, at));
  }));
}

/// Columns of windows added up where they came from.
void col2im(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const auto block = node.constants(2);
  if (!block)
    return node.refuse_unknown(2, "the shape of its blocks");
  const Sizes shape = node.out_shape(), image = spatial(shape);
  const size_t n = block->size();
  const Window window = read_window(node, {block->begin(), block->end()}, image, image);
  // [batch, channels, taps ..., places ...]
  Sizes split = {x.shape[0], shape[1]};
  std::vector<Dim> places;
  for (size_t i = 0; i < n; ++i)
    split.push_back(window.kernel[i]);
  for (size_t i = 0; i < n; ++i) {
    const Dim reach = Dim(window.dilations[i]) * (window.kernel[i] - 1) + 1;
    places.push_back(
        symbols::floordiv(image[i] + window.low[i] + window.high[i] - reach, window.strides[i]) +
        1);
    split.push_back(places.back());
  }
  const Array columns = a.reshape(x, split);
  const Array taps = a.empty(ElementType::Float32, window.kernel);
  std::vector<mlir::AffineExpr> tap_map;
  std::vector<Scalar> counts, lows;
  for (size_t i = 0; i < n; ++i) {
    tap_map.push_back(a.d(2 + n + i));
    counts.push_back(a.size_index(places[i]));
    lows.push_back(a.size_index(window.low[i]));
  }
  node.set(a.contract(
      {taps}, {tap_map}, 2 + 2 * n, x.type, shape, 0, [&](const Scalar &sum, const Scalars &e) {
        Writer &w = *e[0].w;
        Scalars from = {Arrays::place(w, 0), Arrays::place(w, 1)};
        Scalars cells;
        Scalar reached = number(w, ElementType::Bool, 1);
        for (size_t i = 0; i < n; ++i) {
          const auto stride = static_cast<double>(window.strides[i]);
          const Scalar tap = Arrays::place(w, 2 + n + i);
          const Scalar far =
              Arrays::place(w, 2 + i) + lows[i] - tap * static_cast<double>(window.dilations[i]);
          const Scalar cell = far / stride;
          reached = reached & equal(cell * stride, far) & !less(far, 0.0) & less(cell, counts[i]);
          from.push_back(tap);
          cells.push_back(max(min(cell, counts[i] - 1.0), 0.0));
        }
        from.insert(from.end(), cells.begin(), cells.end());
        const Scalar value = Arrays::element(w, columns, from);
        return sum + select(reached, value, number_like(value, 0));
      }));
}

constexpr LoweringRow kRows[] = {
    {"ScatterElements", scatter_elements, Takes::Any, 1},
    {"Scatter", scatter_elements, Takes::Any, 1},
    {"ScatterND", scatter_nd, Takes::Any, 1},
    {"TensorScatter", tensor_scatter, Takes::Any, 1},
    {"Col2Im", col2im, Takes::Numbers, 3},
};

} // namespace

std::span<const LoweringRow> scatter_lowerings() { return kRows; }

} // namespace quern::onnx

#include "frontends/onnx/lowering/Reductions.h"

#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern::onnx {

Array place_of_extreme(Arrays &arrays, const Array &x, size_t axis, bool largest, bool last) {
  const Array extreme =
      largest ? arrays.largest(x, {axis}, false) : arrays.smallest(x, {axis}, false);
  const Sizes shape = extreme.shape;
  const size_t reduced = shape.size();
  std::vector<mlir::AffineExpr> in, out;
  for (size_t i = 0, next = 0; i < x.rank(); ++i)
    in.push_back(i == axis ? arrays.d(reduced) : arrays.d(next++));
  for (size_t i = 0; i < shape.size(); ++i)
    out.push_back(arrays.d(i));
  return arrays.contract({x, extreme}, {in, out}, reduced + 1, ElementType::Int64, shape,
                         last ? -1 : 0x1p62, [&](const Scalar &found, const Scalars &e) {
                           const Scalar here =
                               from_index(Arrays::place(*e[0].w, reduced), ElementType::Int64);
                           Scalar is_it = equal(e[0], e[1]);
                           if (is_real(x.type))
                             is_it = is_it | is_nan(e[0]);
                           return last ? max(found, select(is_it, here, number_like(here, -1)))
                                       : min(found, select(is_it, here, number_like(here, 0x1p62)));
                         });
}

Array log_sum_exp(Arrays &arrays, const Array &x, const std::vector<size_t> &axes, bool keep) {
  const Array top = arrays.map({arrays.largest(x, axes, true)}, x.type, [](const Scalars &e) {
    return select(equal(abs(e[0]), HUGE_VAL), number_like(e[0], 0), e[0]);
  });
  const Array powers =
      arrays.map({x, top}, x.type, [](const Scalars &e) { return exp(e[0] - e[1]); });
  const Array total = arrays.map({arrays.sum(powers, axes, true), top}, x.type,
                                 [](const Scalars &e) { return log(e[0]) + e[1]; });
  return keep ? total : arrays.reshape(total, Arrays::without(x.shape, axes, false));
}

namespace {

/// What is accumulated in: halves in float32.
ElementType wide(ElementType type) {
  return type == ElementType::Float16 || type == ElementType::BFloat16 ? ElementType::Float32
                                                                       : type;
}

template <typename Element>
Array sum_of(Arrays &a, const Array &x, const std::vector<size_t> &axes, Element element) {
  const ElementType type = wide(x.type);
  return a.reduce(x, axes, true, type, 0,
                  [&](const Scalar &all, const Scalar &e) { return all + element(cast(e, type)); });
}

Scalar root(const Scalar &x) {
  return is_float(x.type) ? sqrt(x) : cast(sqrt(cast(x, ElementType::Float64)), x.type);
}

Scalar logarithm(const Scalar &x) {
  return is_float(x.type) ? log(x) : cast(log(cast(x, ElementType::Float64)), x.type);
}

/// The op over these axes, kept with a size of 1.
std::optional<Array> reduced(Arrays &a, std::string_view op, const Array &x,
                             const std::vector<size_t> &axes) {
  const auto square = [](const Scalar &e) { return e * e; };
  const auto same = [](const Scalar &e) { return e; };
  const auto map = [&](const Array &y, Scalar (*function)(const Scalar &)) {
    return a.map({y}, y.type, [&](const Scalars &e) { return function(e[0]); });
  };
  if (op == "ReduceSum")
    return a.sum(x, axes, true);
  if (op == "ReduceMean")
    return a.mean(x, axes, true);
  if (op == "ReduceMax")
    return a.largest(x, axes, true);
  if (op == "ReduceMin")
    return a.smallest(x, axes, true);
  if (op == "ReduceProd")
    return a.reduce(x, axes, true, wide(x.type), 1, [&](const Scalar &all, const Scalar &e) {
      return all * cast(e, wide(x.type));
    });
  if (op == "ReduceL1")
    return sum_of(a, x, axes, [](const Scalar &e) { return abs(e); });
  if (op == "ReduceL2")
    return map(sum_of(a, x, axes, square), root);
  if (op == "ReduceSumSquare")
    return sum_of(a, x, axes, square);
  if (op == "ReduceLogSum")
    return map(sum_of(a, x, axes, same), logarithm);
  if (op == "ReduceLogSumExp")
    return log_sum_exp(a, x, axes, true);
  return std::nullopt;
}

/// All sets of that many axes that leave the declared shape.
std::vector<std::vector<size_t>> candidates(const Shape &in, const Shape &out, size_t count,
                                            bool keep) {
  constexpr size_t kMostRank = 10;
  std::vector<std::vector<size_t>> found;
  for (size_t mask = 0; in.size() <= kMostRank && mask < size_t{1} << in.size(); ++mask) {
    std::vector<size_t> axes;
    for (size_t i = 0; i < in.size(); ++i)
      if (mask >> i & 1)
        axes.push_back(i);
    if (axes.size() == count && Arrays::without(in, axes, keep) == out)
      found.push_back(axes);
  }
  return found;
}

/// x with what is reduced, by whichever of the sets the run names, as its last dimension.
Array gathered(Arrays &a, const Array &x, const Array &axes,
               const std::vector<std::vector<size_t>> &sets) {
  Sizes shape = Arrays::without(x.shape, sets[0], false);
  const size_t outer = shape.size();
  Dim all = 1;
  for (const size_t axis : sets[0])
    all *= x.shape[axis];
  shape.push_back(all);
  std::vector<Scalar> sizes;
  for (const Dim &dim : x.shape)
    sizes.push_back(a.size_index(dim));
  const size_t named = sets[0].size();
  return a.generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    Scalars chosen;
    for (size_t s = 0; s < sets.size(); ++s) {
      const std::vector<size_t> &set = sets[s];
      Scalars from(x.rank());
      Scalar left = at[outer];
      for (size_t i = set.size(); i-- > 0;) {
        from[set[i]] = i == 0 ? left : rest(left, sizes[set[i]]);
        left = left / sizes[set[i]];
      }
      for (size_t i = 0, next = 0; i < x.rank(); ++i)
        if (std::ranges::find(set, i) == set.end())
          from[i] = at[next++];
      if (s == 0) {
        chosen = from;
        continue;
      }
      Scalar is_it = number(w, ElementType::Bool, 1);
      for (const size_t axis : set) {
        Scalar is_named = number(w, ElementType::Bool, 0);
        for (size_t k = 0; k < named; ++k) {
          const Scalar given =
              to_index(Arrays::element(w, axes, {index(w, static_cast<int64_t>(k))}));
          is_named = is_named | equal(given, static_cast<double>(axis)) |
                     equal(given, static_cast<double>(axis) - static_cast<double>(x.rank()));
        }
        is_it = is_it & is_named;
      }
      for (size_t i = 0; i < x.rank(); ++i)
        chosen[i] = select(is_it, from[i], chosen[i]);
    }
    return Arrays::element(w, x, chosen);
  });
}

void reduce(NodeLowering &node) {
  Arrays &a = node.arrays();
  Array x = node.in(0);
  std::vector<size_t> axes;
  const auto given = node.attribute_or_input("axes", 1);
  const bool at_run_time = !given && node.has(1) && !(node.rank(1) == 1 && node.shape(1)[0].is(0));
  if (at_run_time) {
    const auto count = node.rank(1) == 1 ? node.shape(1)[0].constant() : std::nullopt;
    if (!count)
      return node.refuse_unknown(1, "its axes");
    const auto sets = candidates(x.shape, node.out_shape(), static_cast<size_t>(*count),
                                 node.integer("keepdims", 1) != 0);
    if (sets.empty())
      return node.refuse_unknown(1, "its axes");
    node.note(absl::StrCat("its axes are an input of the run; its result is taken to be ",
                           shape_text(node.out_shape()), ", as the file says"));
    if (sets.size() == 1) {
      axes = sets[0];
    } else {
      x = gathered(a, x, node.in(1), sets);
      axes = {x.rank() - 1};
    }
  } else if (given && !given->empty()) {
    for (const int64_t axis : *given)
      axes.push_back(node.axis(axis, x.rank()));
  } else if (node.integer("noop_with_empty_axes", 0) == 0) {
    axes.resize(x.rank());
    std::iota(axes.begin(), axes.end(), size_t{0});
  }
  const auto result = reduced(a, node.op(), x, axes);
  if (!result)
    return node.refuse("it is no reduction");
  node.set(a.reshape(a.cast(*result, node.out_type()), node.out_shape()));
}

void arg(NodeLowering &node) {
  const Array x = node.in(0);
  const size_t axis = node.axis(node.integer("axis", 0), x.rank());
  const Array found = place_of_extreme(node.arrays(), x, axis, node.op() == "ArgMax",
                                       node.integer("select_last_index", 0) != 0);
  node.set(node.arrays().reshape(found, node.out_shape()));
}

/// Running sums and products. The axis may be an input of the run.
void accumulate(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const bool product = node.op() == "CumProd";
  const bool exclusive = node.integer("exclusive", 0) != 0;
  const bool reverse = node.integer("reverse", 0) != 0;
  const auto axis = node.constants(1);
  std::optional<Array> axis_value;
  if (!axis || axis->size() != 1)
    axis_value = node.in(1);
  std::vector<Scalar> sizes;
  for (const Dim &dim : x.shape)
    sizes.push_back(a.size_index(dim));
  const ElementType type = wide(x.type);
  node.set(a.generate(x.type, x.shape, [&](Writer &w, const Scalars &at) {
    std::vector<Scalar> is_axis;
    Scalar place = at[0], size = sizes[0];
    for (size_t i = 0; i < at.size(); ++i) {
      if (!axis_value) {
        is_axis.push_back(number(w, ElementType::Bool, node.axis((*axis)[0], at.size()) == i));
      } else {
        const Scalar given = to_index(Arrays::only(w, *axis_value));
        is_axis.push_back(equal(given, static_cast<double>(i)) |
                          equal(given, static_cast<double>(i) - static_cast<double>(at.size())));
      }
      place = select(is_axis[i], at[i], place);
      size = select(is_axis[i], sizes[i], size);
    }
    const double own = exclusive ? 0 : 1;
    const Scalar low = reverse ? place + (1.0 - own) : index(w, 0);
    const Scalar high = reverse ? size : place + own;
    const Scalars total =
        loop(w, low, high, {number(w, type, product ? 1 : 0)},
             [&](const Scalar &here, const Scalars &now) {
               Writer &inner = *here.w;
               Scalars from;
               for (size_t i = 0; i < at.size(); ++i)
                 from.push_back(select({&inner, is_axis[i].value, ElementType::Bool}, here,
                                       {&inner, at[i].value, at[i].type}));
               const Scalar e = cast(Arrays::element(inner, x, from), type);
               return Scalars{product ? now[0] * e : now[0] + e};
             });
    return cast(total[0], x.type);
  }));
}

constexpr LoweringRow kRows[] = {
    {"ReduceSum", reduce, Takes::Numbers},
    {"ReduceMean", reduce, Takes::Numbers},
    {"ReduceMax", reduce},
    {"ReduceMin", reduce},
    {"ReduceProd", reduce, Takes::Numbers},
    {"ReduceL1", reduce, Takes::Numbers},
    {"ReduceL2", reduce, Takes::Numbers},
    {"ReduceSumSquare", reduce, Takes::Numbers},
    {"ReduceLogSum", reduce, Takes::Numbers},
    {"ReduceLogSumExp", reduce, Takes::Reals},
    {"ArgMax", arg, Takes::Numbers, 1},
    {"ArgMin", arg, Takes::Numbers, 1},
    {"CumSum", accumulate, Takes::Numbers, 1},
    {"CumProd", accumulate, Takes::Numbers, 1},
};

} // namespace

std::span<const LoweringRow> reduction_lowerings() { return kRows; }

} // namespace quern::onnx

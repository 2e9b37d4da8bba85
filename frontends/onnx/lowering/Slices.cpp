// Parts of tensors, and tensors with a border.
#include "frontends/onnx/lowering/NodeLowering.h"
#include "frontends/onnx/shapes/SliceBounds.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern::onnx {
namespace {

/// values[k] where axes[k] is `axis`, or as many of them as there are axes from the first on.
Scalar along(Writer &w, const Array &values, size_t first, const Array *axes, size_t count,
             size_t axis, size_t rank, const Scalar &otherwise) {
  Scalar found = otherwise;
  for (size_t k = 0; k < count; ++k) {
    if (axes == nullptr && k != axis)
      continue;
    const Scalar value =
        to_index(Arrays::element(w, values, {index(w, static_cast<int64_t>(first + k))}));
    if (axes == nullptr) {
      found = value;
      continue;
    }
    const Scalar which = to_index(Arrays::element(w, *axes, {index(w, static_cast<int64_t>(k))}));
    const Scalar is_it = equal(which, static_cast<double>(axis)) |
                         equal(which, static_cast<double>(axis) - static_cast<double>(rank));
    found = select(is_it, value, found);
  }
  return found;
}

std::optional<size_t> length_of(const NodeLowering &node, size_t input) {
  const auto size = node.rank(input) == 1 ? node.shape(input)[0].constant() : std::nullopt;
  return size ? std::optional(static_cast<size_t>(*size)) : std::nullopt;
}

/// Where it begins and how it steps is read when the model runs; how long it is the file says.
void slice_at_run_time(NodeLowering &node) {
  const auto count = length_of(node, 1);
  if (!count || *count > node.rank(0))
    return node.refuse_unknown(1, "where the slice begins");
  node.note(absl::StrCat("where it begins and ends are inputs of the run; its result is taken to "
                         "be ",
                         shape_text(node.out_shape()), ", as the file says"));
  const Array x = node.in(0), starts = node.in(1);
  std::optional<Array> axes, steps;
  if (node.has(3))
    axes = node.in(3);
  if (node.has(4))
    steps = node.in(4);
  std::vector<Scalar> sizes;
  for (const Dim &dim : x.shape)
    sizes.push_back(node.arrays().size_index(dim));
  const Array *axes_at = axes ? &*axes : nullptr;
  node.set(node.arrays().generate(x.type, node.out_shape(), [&](Writer &w, const Scalars &at) {
    Scalars from;
    for (size_t i = 0; i < at.size(); ++i) {
      const Scalar zero = index(w, 0), one = index(w, 1);
      const Scalar start = along(w, starts, 0, axes_at, *count, i, x.rank(), zero);
      const Scalar step = steps ? along(w, *steps, 0, axes_at, *count, i, x.rank(), one) : one;
      const Scalar last = sizes[i] - one;
      const Scalar front = select(less(start, zero), start + sizes[i], start);
      const Scalar begin = min(max(front, zero), select(less(step, zero), last, sizes[i]));
      from.push_back(max(min(begin + at[i] * step, last), zero));
    }
    return Arrays::element(w, x, from);
  }));
}

void slice(NodeLowering &node) {
  std::optional<std::vector<Dim>> starts;
  std::optional<std::vector<int64_t>> axes, steps;
  const bool old = node.has_attribute("starts"); // before version 10
  if (old) {
    const auto given = *node.integers("starts");
    starts.emplace(given.begin(), given.end());
    axes = node.integers("axes");
  } else {
    starts = node.dims(1);
    axes = node.constants(3);
    steps = node.constants(4);
    if (!starts || !node.dims(2) || (node.has(3) && !axes) || (node.has(4) && !steps))
      return slice_at_run_time(node);
  }
  if (!axes) {
    axes.emplace(starts->size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  const Array x = node.in(0);
  const Sizes shape = node.out_shape();
  std::vector<Dim> offsets(x.rank(), Dim(0));
  std::vector<int64_t> strides(x.rank(), 1);
  bool backwards = false;
  for (size_t i = 0; i < axes->size(); ++i) {
    const size_t axis = node.axis((*axes)[i], x.rank());
    const int64_t step = steps ? (*steps)[i] : 1;
    const Dim size = x.shape[axis], last = step > 0 ? size : size - 1;
    offsets[axis] = slice_bound((*starts)[i], size, 0, last);
    strides[axis] = step;
    backwards |= step < 0;
  }
  if (std::ranges::any_of(offsets, [](const Dim &dim) { return !dim.valid(); }))
    return node.refuse("where it begins is too long a formula of sizes");
  if (!backwards) {
    for (size_t i = 0; i < strides.size(); ++i)
      if (shape[i].is(0))
        offsets[i] = 0; // of nothing
    return node.set(node.arrays().slice(x, offsets, shape, strides));
  }
  std::vector<Scalar> begins;
  for (const Dim &offset : offsets)
    begins.push_back(node.arrays().size_index(offset));
  node.set(node.arrays().generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    Scalars from;
    for (size_t i = 0; i < at.size(); ++i)
      from.push_back(begins[i] + at[i] * static_cast<double>(strides[i]));
    return Arrays::element(w, x, from);
  }));
}

void split(NodeLowering &node) {
  const Array x = node.in(0);
  const size_t axis = node.axis(node.integer("axis", 0), x.rank());
  if (!node.has_attribute("split") && node.has(1) && !node.dims(1))
    node.note("the sizes of its parts are an input of the run; they are taken to be as the file "
              "says");
  Dim offset = 0;
  for (size_t i = 0; i < node.outputs(); ++i) {
    if (!node.wants(i)) { // its size is not known, so that of the next ones is not, either
      const auto sizes =
          node.has_attribute("split") ? std::optional<std::vector<Dim>>() : node.dims(1);
      if (!sizes)
        return node.refuse(absl::StrCat("its output ", i, " is not used, and has no size"));
      offset += (*sizes)[i];
      continue;
    }
    const Dim size = node.out_shape(i)[axis];
    node.set(i, node.arrays().part(x, axis, offset, size));
    offset += size;
  }
}

enum class Border : uint8_t { Constant, Edge, Reflect, Wrap };

/// The place inside of `size` that a place in the border, counted from the first inside, is like.
Scalar place_inside(const Scalar &at, const Scalar &size, Border border) {
  const Scalar zero = integer_like(at, 0), last = size - integer_like(at, 1);
  const auto modulo = [&](const Scalar &x, const Scalar &by) {
    const Scalar left = rest(x, by);
    return select(less(left, zero), left + by, left);
  };
  if (border == Border::Wrap)
    return modulo(at, size);
  if (border == Border::Reflect) {
    const Scalar period = last + last;
    const Scalar folded = modulo(at, max(period, integer_like(at, 1)));
    return select(less(last, folded), max(period - folded, zero), folded);
  }
  return max(min(at, last), zero);
}

void pad(NodeLowering &node) {
  Arrays &a = node.arrays();
  const std::string mode = node.string("mode", "constant");
  const Border border = mode == "edge"      ? Border::Edge
                        : mode == "reflect" ? Border::Reflect
                        : mode == "wrap"    ? Border::Wrap
                                            : Border::Constant;
  if (border == Border::Constant && mode != "constant")
    return node.refuse(absl::StrCat("it pads by mode '", mode, "'"));
  const Array x = node.in(0);
  const size_t rank = x.rank();
  const Sizes shape = node.out_shape();
  // The border's value: an attribute before version 11, then an input.
  const bool given = node.has(2);
  const Array value = given ? a.reshape(node.in(2), {}) : a.scalar(x.type, node.number("value", 0));

  std::optional<std::vector<Dim>> pads;
  if (const auto list = node.integers("pads"))
    pads.emplace(list->begin(), list->end());
  else
    pads = node.dims(1);
  const auto axes = node.constants(3);
  if (pads && (!node.has(3) || axes)) {
    std::vector<Dim> low(rank), high(rank);
    for (size_t i = 0; i < pads->size() / 2; ++i) {
      const size_t axis = axes ? node.axis((*axes)[i], rank) : i;
      low[axis] = (*pads)[i];
      high[axis] = (*pads)[i + pads->size() / 2];
    }
    const bool constant_value = !given || node.numbers(2);
    if (border == Border::Constant && constant_value) {
      std::vector<Dim> offsets(rank), before(rank), after(rank);
      bool fixed = true, cuts = false;
      for (size_t i = 0; i < rank; ++i) {
        // A negative border cuts off, of the other border too where there is little else.
        offsets[i] = symbols::max(-low[i], 0);
        before[i] = symbols::max(low[i], 0);
        after[i] = symbols::max(high[i], 0);
        cuts |= !offsets[i].is(0) || !symbols::max(-high[i], 0).is(0);
        fixed &= offsets[i].valid() && before[i].valid() && after[i].valid();
      }
      if (fixed) {
        const double number = given ? (*node.numbers(2))[0] : node.number("value", 0);
        const Array padded = a.pad(x, before, after, number);
        return node.set(cuts ? a.slice(padded, offsets, shape) : padded);
      }
    }
    std::vector<Scalar> begins, sizes;
    for (size_t i = 0; i < rank; ++i) {
      begins.push_back(a.size_index(low[i]));
      sizes.push_back(a.size_index(x.shape[i]));
    }
    return node.set(a.generate(x.type, shape, [&](Writer &w, const Scalars &at) {
      Scalars from;
      Scalar inside = number(w, ElementType::Bool, 1);
      for (size_t i = 0; i < rank; ++i) {
        const Scalar place = at[i] - begins[i];
        inside = inside & !less(place, 0.0) & less(place, sizes[i]);
        from.push_back(place_inside(place, sizes[i], border));
      }
      const Scalar e = Arrays::element(w, x, from);
      return border == Border::Constant ? select(inside, e, Arrays::only(w, value)) : e;
    }));
  }
  const auto count = length_of(node, 1);
  if (!count || *count > 2 * rank)
    return node.refuse_unknown(1, "how much it pads");
  node.note(absl::StrCat("how much it pads is an input of the run; its result is taken to be ",
                         shape_text(shape), ", as the file says"));
  const Array widths = node.in(1);
  std::optional<Array> which;
  if (node.has(3))
    which = node.in(3);
  std::vector<Scalar> sizes;
  for (const Dim &dim : x.shape)
    sizes.push_back(a.size_index(dim));
  node.set(a.generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    Scalars from;
    Scalar inside = number(w, ElementType::Bool, 1);
    for (size_t i = 0; i < rank; ++i) {
      const Scalar begin =
          along(w, widths, 0, which ? &*which : nullptr, *count / 2, i, rank, index(w, 0));
      const Scalar place = at[i] - begin;
      inside = inside & !less(place, 0.0) & less(place, sizes[i]);
      from.push_back(place_inside(place, sizes[i], border));
    }
    const Scalar e = Arrays::element(w, x, from);
    return border == Border::Constant ? select(inside, e, Arrays::only(w, value)) : e;
  }));
}

void center_crop_pad(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Sizes shape = node.out_shape();
  std::vector<Dim> offsets, low, high;
  Shape kept;
  for (size_t i = 0; i < x.rank(); ++i) {
    const Dim less = symbols::max(x.shape[i] - shape[i], 0);
    const Dim more = symbols::max(shape[i] - x.shape[i], 0);
    offsets.push_back(symbols::floordiv(less, 2));
    low.push_back(symbols::floordiv(more, 2));
    high.push_back(more - low.back());
    kept.push_back(x.shape[i] - less);
  }
  if (node.has(1) && !node.dims(1))
    node.note(absl::StrCat("its shape is an input of the run; its result is taken to be ",
                           shape_text(shape), ", as the file says"));
  node.set(a.pad(a.slice(x, offsets, kept), low, high, 0.0));
}

constexpr LoweringRow kRows[] = {
    {"Slice", slice},
    {"Split", split, Takes::Any, 1},
    {"Pad", pad},
    {"CenterCropPad", center_crop_pad},
};

} // namespace

std::span<const LoweringRow> slice_lowerings() { return kRows; }

} // namespace quern::onnx

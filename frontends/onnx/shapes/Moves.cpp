// Ops that put elements elsewhere and compute nothing.
#include "frontends/onnx/shapes/Elements.h"
#include "frontends/onnx/shapes/Rules.h"
#include "frontends/onnx/shapes/SliceBounds.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <numeric>

namespace quern::onnx {
namespace {

/// The elements of output 0, whose shape is set, each one of input 0's: that at `source` of its
/// indices.
void fold_moved(NodeShapes &node,
                const std::function<size_t(const std::vector<int64_t> &)> &source) {
  const Fact &in = node.in(0);
  if (node.failed() || !in.elements || !node.wants(0))
    return;
  const Fact &out = node.output_fact(0);
  const auto sizes = out.shape ? constant_shape(*out.shape) : std::nullopt;
  if (!sizes || count_elements(*sizes).value_or(INT64_MAX) > Fact::kMostElements)
    return;
  Elements elements;
  for_each_index(*sizes, [&](const std::vector<int64_t> &indices) {
    const size_t at = source(indices);
    elements.push_back(at < in.elements->size() ? (*in.elements)[at] : Element());
  });
  node.set_elements(0, std::move(elements));
}

/// The result has the input's elements in their order.
void set_reshaped(NodeShapes &node, Shape shape) {
  const Fact in = node.in(0);
  node.set(0, in.type, std::move(shape));
  if (in.elements && !node.failed())
    node.set_elements(0, *in.elements);
}

void reshape(NodeShapes &node) {
  const Shape in = node.shape(0);
  const Fact &target = node.in(1);
  const auto attribute = node.integers("shape"); // before version 5
  Elements wanted;
  if (attribute) {
    wanted.assign(attribute->begin(), attribute->end());
  } else if (target.elements) {
    wanted = *target.elements;
  } else if (target.shape && target.shape->size() == 1 && (*target.shape)[0].is_constant() &&
             (*target.shape)[0].constant() <= Fact::kMostElements) {
    wanted.resize(static_cast<size_t>(*(*target.shape)[0].constant()));
  } else {
    return node.set_type(0, node.type(0));
  }
  const bool copies_zeros = node.integer("allowzero", 0) == 0;
  Shape shape;
  std::optional<size_t> rest;
  bool known = true;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto size = as_dim(wanted[i]);
    if (!size) {
      shape.push_back(node.fresh(0, i));
      known = false;
    } else if (size->is(-1)) {
      if (rest)
        return node.fail("its shape has -1 twice");
      rest = i;
      shape.push_back(1);
    } else if (size->is(0) && copies_zeros) {
      if (i >= in.size())
        return node.fail(absl::StrCat("its shape copies dimension ", i, " of ", shape_text(in)));
      shape.push_back(in[i]);
    } else {
      shape.push_back(*size);
    }
  }
  // The same factors on both sides say nothing: a size of 0 among them, either.
  Dim total = product(in), others = product(shape);
  if (rest && known) {
    if (others.is(0)) {
      if (!total.is(0))
        return node.fail("its shape has -1 beside 0");
      shape[*rest] = 0;
    } else {
      shape[*rest] = symbols::floordiv(total, others);
      node.unify(total, shape[*rest] * others, "what is reshaped and the new shape");
    }
  } else if (rest) {
    shape[*rest] = node.fresh(0, *rest);
  } else if (known) {
    node.unify(total, others, "what is reshaped and the new shape");
  }
  set_reshaped(node, std::move(shape));
}

void flatten(NodeShapes &node) {
  const Shape &in = node.shape(0);
  const auto rank = static_cast<int64_t>(in.size());
  int64_t axis = node.integer("axis", 1);
  if (axis < -rank || axis > rank)
    return node.fail(absl::StrCat("it names axis ", axis, " of ", rank));
  axis += axis < 0 ? rank : 0;
  const auto at = static_cast<size_t>(axis);
  set_reshaped(node, {product(in, 0, at), product(in, at, in.size())});
}

void squeeze(NodeShapes &node) {
  const Shape &in = node.shape(0);
  bool known = true;
  const auto given = node.attribute_or_input("axes", 1, known);
  if (!known)
    return node.set_type(0, node.type(0));
  std::vector<size_t> axes;
  if (given) {
    axes = node.axes(*given, in.size());
  } else {
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i].is(1))
        axes.push_back(i);
      else if (!in[i].is_constant()) // its rank depends on whether this is 1
        return node.set_type(0, node.type(0));
  }
  Shape shape;
  for (size_t i = 0; i < in.size(); ++i)
    if (std::ranges::find(axes, i) == axes.end())
      shape.push_back(in[i]);
    else
      node.unify(in[i], 1, "what is squeezed and 1");
  set_reshaped(node, std::move(shape));
}

void unsqueeze(NodeShapes &node) {
  const Shape &in = node.shape(0);
  bool known = true;
  const auto given = node.attribute_or_input("axes", 1, known);
  if (!known || !given)
    return given || !known ? node.set_type(0, node.type(0)) : node.fail("it names no axes");
  const size_t rank = in.size() + given->size();
  const std::vector<size_t> axes = node.axes(*given, rank);
  if (node.failed())
    return;
  Shape shape;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i)
    shape.push_back(std::ranges::find(axes, i) != axes.end() ? Dim(1) : in[next++]);
  set_reshaped(node, std::move(shape));
}

void transpose(NodeShapes &node) {
  const Shape &in = node.shape(0);
  std::vector<size_t> from(in.size());
  std::iota(from.rbegin(), from.rend(), size_t{0});
  if (const auto given = node.integers("perm")) {
    from = node.axes(*given, in.size());
    if (from.size() != in.size())
      return node.fail(absl::StrCat("its perm has ", given->size(), " axes of ", in.size()));
  }
  Shape shape;
  for (const size_t axis : from)
    shape.push_back(in[axis]);
  node.set(0, node.type(0), std::move(shape));
  if (const auto sizes = constant_shape(in))
    fold_moved(node, [&](const std::vector<int64_t> &indices) {
      std::vector<int64_t> source(indices.size());
      for (size_t i = 0; i < indices.size(); ++i)
        source[from[i]] = indices[i];
      return broadcast_offset(source, *sizes);
    });
}

void concat(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 1))
    return;
  if (node.node().find("axis") == nullptr)
    return node.fail("it does not say its axis");
  Shape shape = node.shape(0);
  const size_t axis = node.axis(node.integer("axis", 1), shape.size());
  for (size_t i = 1; i < node.inputs(); ++i) {
    if (!node.want_same_type(0, i))
      return;
    if (!node.has_shape(i))
      return node.set_type(0, node.type(0));
    if (!node.want_rank(i, shape.size()))
      return;
    for (size_t k = 0; k < shape.size(); ++k)
      shape[k] = k == axis ? shape[k] + node.shape(i)[k]
                           : node.unify(shape[k], node.shape(i)[k], "what is put side by side");
  }
  const bool line = shape.size() == 1;
  node.set(0, node.type(0), std::move(shape));
  Elements elements;
  for (size_t i = 0; line && i < node.inputs(); ++i) {
    const Fact &in = node.in(i);
    const auto size = in.shape ? (*in.shape)[0].constant() : std::nullopt;
    if (!size || elements.size() + static_cast<uint64_t>(*size) > Fact::kMostElements)
      return;
    if (in.elements)
      elements.insert(elements.end(), in.elements->begin(), in.elements->end());
    else
      elements.resize(elements.size() + static_cast<size_t>(*size));
  }
  if (line)
    node.set_elements(0, std::move(elements));
}

void split(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 1))
    return;
  const Fact in = node.in(0);
  const size_t axis = node.axis(node.integer("axis", 0), in.shape->size());
  const Dim whole = (*in.shape)[axis];
  const size_t count = node.outputs();
  bool known = true;
  const auto given = node.attribute_or_input("split", 1, known);
  std::vector<Dim> parts;
  if (const auto dims = node.has_attribute("split") ? std::nullopt : node.dims(1)) {
    parts = *dims;
  } else if (given) {
    parts.assign(given->begin(), given->end());
  } else if (!known) {
    for (size_t i = 0; i < count; ++i)
      parts.push_back(node.fresh(i, axis));
  } else if (count != 0) {
    const auto parts_of = node.integer("num_outputs", static_cast<int64_t>(count));
    if (parts_of < 1 || parts_of != static_cast<int64_t>(count))
      return node.fail(absl::StrCat("it has ", count, " outputs and num_outputs ", parts_of));
    const Dim each = symbols::ceildiv(whole, parts_of);
    if (node.version() < 18)
      node.unify(whole, each * Dim(parts_of), "what is split, and equal parts of it,");
    parts.assign(count, each);
    parts.back() = whole - each * Dim(parts_of - 1);
  }
  if (parts.size() != count)
    return node.fail(absl::StrCat("it has ", count, " outputs and ", parts.size(), " parts"));
  Dim sum;
  for (const Dim &part : parts)
    sum += part;
  if (known)
    node.unify(whole, sum, "what is split and the sum of the parts");
  size_t begin = 0;
  for (size_t i = 0; i < count; ++i) {
    Shape shape = *in.shape;
    shape[axis] = parts[i];
    Fact fact;
    fact.type = in.type;
    const auto size = parts[i].constant();
    if (size && *size >= 0 && in.elements && shape.size() == 1 &&
        begin + static_cast<size_t>(*size) <= in.elements->size()) {
      const auto first = in.elements->begin() + static_cast<ptrdiff_t>(begin);
      fact.elements.emplace(first, first + *size);
      begin += static_cast<size_t>(*size);
    }
    node.set(i, in.type, std::move(shape));
    if (fact.elements && node.wants(i) && !node.failed()) {
      fact.shape = Shape{parts[i]};
      node.set(i, std::move(fact));
    }
  }
}

void slice(NodeShapes &node) {
  const Fact in = node.in(0);
  Shape shape = *in.shape;
  std::optional<std::vector<Dim>> starts, ends;
  std::optional<std::vector<int64_t>> axes, steps;
  bool known = true;
  if (node.has_attribute("starts")) { // before version 10
    const auto first = node.integers("starts"), last = node.integers("ends");
    if (!first || !last)
      return node.fail("it has starts without ends");
    starts.emplace(first->begin(), first->end());
    ends.emplace(last->begin(), last->end());
    axes = node.integers("axes");
  } else {
    starts = node.dims(1);
    ends = node.dims(2);
    axes = node.constants(3);
    steps = node.constants(4);
    known = (!node.has(3) || axes) && (!node.has(4) || steps);
  }
  size_t count = starts ? starts->size() : ends ? ends->size() : 0;
  if (!starts && !ends && node.has_shape(1) && node.rank(1) == 1)
    count = static_cast<size_t>(node.shape(1)[0].constant().value_or(0));
  if (node.has(3) && !axes) { // any axis may be cut
    for (size_t i = 0; i < shape.size(); ++i)
      shape[i] = node.fresh(0, i);
    return node.set(0, in.type, std::move(shape));
  }
  if (!axes) {
    axes.emplace(std::min(count, shape.size()));
    std::iota(axes->begin(), axes->end(), 0);
  }
  if ((starts && starts->size() != axes->size()) || (ends && ends->size() != axes->size()) ||
      (steps && steps->size() != axes->size()))
    return node.fail("its starts, ends, axes and steps are not of one number");
  const std::vector<size_t> list = node.axes(*axes, shape.size());
  if (node.failed())
    return;
  std::vector<Dim> begins(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const Dim size = shape[list[i]];
    const int64_t step = steps ? (*steps)[i] : 1;
    if (step == 0 || step == INT64_MIN)
      return node.fail("its step is 0");
    if (!starts || !ends || !known) {
      shape[list[i]] = node.fresh(0, list[i]);
      continue;
    }
    const Dim last = step > 0 ? size : size - 1;
    // Backwards, what begins within nothing begins in front of it.
    const Dim first = step > 0 ? Dim(0) : symbols::choose(symbols::less(size, 1), -1, 0);
    const bool from_last = step < 0 && (*starts)[i].constant() == -1;
    begins[i] = from_last ? last : slice_bound((*starts)[i], size, first, last);
    const Dim end = slice_bound((*ends)[i], size, step > 0 ? Dim(0) : Dim(-1), last);
    const Dim length = step > 0 ? end - begins[i] : begins[i] - end;
    shape[list[i]] = symbols::max(symbols::ceildiv(length, step > 0 ? step : -step), 0);
  }
  node.set(0, in.type, std::move(shape));
  const auto sizes = constant_shape(*in.shape);
  const auto from = constant_shape(begins);
  if (sizes && from && starts && ends && known)
    fold_moved(node, [&](const std::vector<int64_t> &indices) {
      std::vector<int64_t> source = indices;
      for (size_t i = 0; i < list.size(); ++i)
        source[list[i]] = (*from)[i] + source[list[i]] * (steps ? (*steps)[i] : 1);
      return broadcast_offset(source, *sizes);
    });
}

void gather(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 1))
    return;
  const Shape in = node.shape(0), &indices = node.shape(1);
  const size_t axis = node.axis(node.integer("axis", 0), in.size());
  Shape shape(in.begin(), in.begin() + static_cast<ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.begin(), indices.end());
  shape.insert(shape.end(), in.begin() + static_cast<ptrdiff_t>(axis) + 1, in.end());
  const size_t index_rank = indices.size();
  const auto index_shape = constant_shape(indices), sizes = constant_shape(in);
  node.set(0, node.type(0), std::move(shape));
  const auto chosen = node.constants(1);
  if (!chosen || !index_shape || !sizes)
    return;
  for (const int64_t index : *chosen)
    if (index < -(*sizes)[axis] || index >= (*sizes)[axis])
      return node.fail(absl::StrCat("it takes element ", index, " of ", (*sizes)[axis]));
  fold_moved(node, [&](const std::vector<int64_t> &at) {
    const auto begin = at.begin() + static_cast<ptrdiff_t>(axis);
    const std::vector<int64_t> which(begin, begin + static_cast<ptrdiff_t>(index_rank));
    int64_t index = (*chosen)[broadcast_offset(which, *index_shape)];
    index += index < 0 ? (*sizes)[axis] : 0;
    std::vector<int64_t> source(at.begin(), begin);
    source.push_back(index);
    source.insert(source.end(), begin + static_cast<ptrdiff_t>(index_rank), at.end());
    return broadcast_offset(source, *sizes);
  });
}

void gather_elements(NodeShapes &node) {
  if (!node.want_rank(1, node.rank(0)))
    return;
  const Shape &in = node.shape(0), &indices = node.shape(1);
  const size_t axis = node.axis(node.integer("axis", 0), in.size());
  for (size_t i = 0; i < in.size(); ++i)
    if (const auto few = indices[i].constant(), many = in[i].constant();
        i != axis && few && many && *few > *many)
      return node.fail(absl::StrCat("its indices ", shape_text(indices), " are more than ",
                                    shape_text(in), " has, beside axis ", axis));
  node.set(0, node.type(0), indices);
}

void gather_nd(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 1) || !node.want_rank_at_least(1, 1))
    return;
  const Shape &in = node.shape(0), &indices = node.shape(1);
  const int64_t batch = node.integer("batch_dims", 0);
  const auto depth = indices.back().constant();
  if (!depth)
    return node.set_type(0, node.type(0));
  if (batch < 0 || *depth < 0 || *depth > static_cast<int64_t>(in.size()) ||
      batch + *depth > static_cast<int64_t>(in.size()) ||
      batch >= static_cast<int64_t>(indices.size()))
    return node.fail(
        absl::StrCat("its indices ", shape_text(indices), " are none of ", shape_text(in)));
  Shape shape(indices.begin(), indices.end() - 1);
  for (size_t i = 0; i < static_cast<size_t>(batch); ++i)
    shape[i] = node.unify(shape[i], in[i], "its batches");
  shape.insert(shape.end(), in.begin() + batch + *depth, in.end());
  node.set(0, node.type(0), std::move(shape));
}

/// The result is as the first input.
void as_first(NodeShapes &node) { node.set(0, node.type(0), node.shape(0)); }

void scatter_elements(NodeShapes &node) {
  if (node.want_rank(1, node.rank(0)) && node.want_same_type(0, 2))
    as_first(node);
}

void expand(NodeShapes &node) {
  const Fact in = node.in(0);
  const auto target = node.dims(1);
  if (!target) {
    const auto count = node.rank(1) == 1 ? node.shape(1)[0].constant() : std::nullopt;
    if (!count || *count > Fact::kMostElements)
      return node.set_type(0, in.type);
    Shape shape;
    for (size_t i = 0; i < std::max(in.shape->size(), static_cast<size_t>(*count)); ++i)
      shape.push_back(node.fresh(0, i));
    return node.set(0, in.type, std::move(shape));
  }
  node.set(0, in.type, node.broadcast(*in.shape, *target));
  if (const auto sizes = constant_shape(*in.shape))
    fold_moved(node, [&](const std::vector<int64_t> &indices) {
      return broadcast_offset(indices, *sizes);
    });
}

void tile(NodeShapes &node) {
  Shape shape = node.shape(0);
  const auto repeats = node.dims(1);
  if (repeats && repeats->size() != shape.size())
    return node.fail(
        absl::StrCat("it repeats ", repeats->size(), " dimensions of ", shape_text(shape)));
  for (size_t i = 0; i < shape.size(); ++i)
    shape[i] = repeats ? shape[i] * (*repeats)[i] : node.fresh(0, i);
  const auto sizes = constant_shape(node.shape(0));
  node.set(0, node.type(0), std::move(shape));
  if (sizes)
    fold_moved(node, [&](const std::vector<int64_t> &indices) {
      std::vector<int64_t> source = indices;
      for (size_t i = 0; i < source.size(); ++i)
        source[i] = (*sizes)[i] == 0 ? 0 : source[i] % (*sizes)[i];
      return broadcast_offset(source, *sizes);
    });
}

void pad(NodeShapes &node) {
  Shape shape = node.shape(0);
  std::optional<std::vector<Dim>> pads = node.dims(1);
  if (const auto given = node.integers(node.has_attribute("paddings") ? "paddings" : "pads"))
    pads.emplace(given->begin(), given->end());
  std::vector<size_t> axes(shape.size());
  std::iota(axes.begin(), axes.end(), size_t{0});
  if (node.has(3)) {
    const auto given = node.constants(3);
    if (given)
      axes = node.axes(*given, shape.size());
    else
      pads.reset();
  }
  if (pads && pads->size() != 2 * axes.size())
    return node.fail(absl::StrCat("it has ", pads->size(), " pads for ", axes.size(), " axes"));
  for (size_t i = 0; i < axes.size(); ++i)
    shape[axes[i]] =
        pads ? shape[axes[i]] + (*pads)[i] + (*pads)[i + axes.size()] : node.fresh(0, axes[i]);
  node.set(0, node.type(0), std::move(shape));
}

void depth_to_space(NodeShapes &node) {
  const int64_t block = node.integer("blocksize", 1);
  if (!node.want_rank(0, 4))
    return;
  if (block < 1)
    return node.fail(absl::StrCat("its blocksize is ", block));
  const Shape &in = node.shape(0);
  const Dim area = Dim(block) * Dim(block);
  if (node.node().op == "DepthToSpace") {
    const Dim channels = symbols::floordiv(in[1], area);
    node.unify(in[1], channels * area, "its channels, and blocks of them,");
    return node.set(0, node.type(0), {in[0], channels, in[2] * Dim(block), in[3] * Dim(block)});
  }
  const Dim rows = symbols::floordiv(in[2], block), columns = symbols::floordiv(in[3], block);
  node.unify(in[2], rows * Dim(block), "its rows, and blocks of them,");
  node.unify(in[3], columns * Dim(block), "its columns, and blocks of them,");
  node.set(0, node.type(0), {in[0], in[1] * area, rows, columns});
}

void center_crop_pad(NodeShapes &node) {
  Shape shape = node.shape(0);
  const auto target = node.dims(1);
  std::vector<size_t> axes(shape.size());
  std::iota(axes.begin(), axes.end(), size_t{0});
  if (const auto given = node.integers("axes"))
    axes = node.axes(*given, shape.size());
  if (target && target->size() != axes.size())
    return node.fail(absl::StrCat("it has ", target->size(), " sizes for ", axes.size(), " axes"));
  for (size_t i = 0; i < axes.size(); ++i)
    shape[axes[i]] = target ? (*target)[i] : node.fresh(0, axes[i]);
  node.set(0, node.type(0), std::move(shape));
}

void eye_like(NodeShapes &node) {
  if (node.want_rank(0, 2))
    node.set(0, node.type_attribute("dtype", node.type(0)), node.shape(0));
}

constexpr Rule kRules[] = {
    {"Reshape", reshape},
    {"Flatten", flatten},
    {"Squeeze", squeeze},
    {"Unsqueeze", unsqueeze},
    {"Transpose", transpose},
    {"Concat", concat},
    {"Split", split},
    {"Slice", slice},
    {"Gather", gather, 2},
    {"GatherElements", gather_elements, 2},
    {"GatherND", gather_nd, 2},
    {"Scatter", scatter_elements, 3},
    {"ScatterElements", scatter_elements, 3},
    {"ScatterND", as_first, 3},
    {"TensorScatter", as_first, 2},
    {"ReverseSequence", as_first, 2},
    {"Expand", expand, 2},
    {"Tile", tile, 2},
    {"Pad", pad},
    {"DepthToSpace", depth_to_space},
    {"SpaceToDepth", depth_to_space},
    {"CenterCropPad", center_crop_pad, 2},
    {"EyeLike", eye_like},
};

} // namespace

std::span<const Rule> move_rules() { return kRules; }

} // namespace quern::onnx

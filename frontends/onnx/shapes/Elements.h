// Computing with elements that are known: of broadcast inputs, of types.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_ELEMENTS_H
#define QUERN_FRONTENDS_ONNX_SHAPES_ELEMENTS_H

#include "frontends/onnx/shapes/NodeShapes.h"

#include <functional>
#include <vector>

namespace quern::onnx {

/// A constant of a float type, rounded to it; nothing of a type whose rounding is not known here.
Element rounded(ElementType type, double value);

/// An element of one type as one of another.
Element cast(const Element &element, ElementType from, ElementType to);

/// Sets the elements of output 0, whose shape is set, from those of all inputs, broadcast to it, if
/// they are known. Types in which arithmetic wraps are left alone: sizes are int64 or int32.
void fold_elements(NodeShapes &node, ElementType type,
                   const std::function<Element(const std::vector<Element> &)> &op);

/// The same of an op of any number of inputs, two at a time from the left.
void fold_many(NodeShapes &node, ElementType type,
               const std::function<Element(const Element &, const Element &)> &op);

/// For each element of a tensor of shape `shape`, row-major, its indices are handed to `visit`.
void for_each_index(const std::vector<int64_t> &shape,
                    const std::function<void(const std::vector<int64_t> &)> &visit);

/// Where the element of these indices is in a row-major tensor of that shape, whose dimensions of 1
/// are broadcast and whose rank may be lower.
size_t broadcast_offset(const std::vector<int64_t> &indices, const std::vector<int64_t> &shape);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_ELEMENTS_H

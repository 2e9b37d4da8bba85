// What is known of a value before the model runs.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_FACT_H
#define QUERN_FRONTENDS_ONNX_SHAPES_FACT_H

#include "frontends/onnx/ElementType.h"
#include "frontends/onnx/Graph.h"
#include "ir/symbols/Dim.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace quern::onnx {

using symbols::Dim;
using Shape = std::vector<Dim>;

/// One element of a small tensor: not known; an integer, true being 1, as an expression of the
/// entry's sizes; or a number that is none. A float that depends on sizes is a Dim, too.
using Element = std::variant<std::monostate, Dim, double>;
using Elements = std::vector<Element>;

struct Fact {
  Type::Kind kind = Type::Kind::Tensor;
  ElementType type = ElementType::Undefined; ///< Undefined: not known
  std::optional<Shape> shape{};              ///< nothing: its rank is not known
  /// Of a tensor of at most kMostElements whose shape is constant, row-major. Where all are known
  /// nothing of it is left to compute when the model runs.
  std::optional<Elements> elements{};
  std::shared_ptr<const Fact> of{}; ///< of a sequence or an optional, if known

  static constexpr int64_t kMostElements = 256;

  /// The elements as expressions, if all are known to be integers.
  std::optional<std::vector<Dim>> integers() const;
  /// The elements as numbers, if all are constant.
  std::optional<std::vector<double>> numbers() const;
  bool is_known() const; ///< all elements are
};

/// An element that is an integer as an expression; nothing for others.
std::optional<Dim> as_dim(const Element &element);
/// An element that is constant as a number; nothing for others.
std::optional<double> as_number(const Element &element);

/// The sizes, where all are constant.
std::optional<std::vector<int64_t>> constant_shape(const Shape &shape);

/// "[b, s, 768]", for messages; "[?]" where the rank is not known.
std::string shape_text(const std::optional<Shape> &shape);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_FACT_H

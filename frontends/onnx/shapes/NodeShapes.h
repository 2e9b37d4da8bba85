// What a rule sees of the node that it is about, and what it says of the results.
//
// A rule that finds something wrong says so and goes on, or returns: every call is safe whatever
// was said before.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_NODESHAPES_H
#define QUERN_FRONTENDS_ONNX_SHAPES_NODESHAPES_H

#include "frontends/onnx/Graph.h"
#include "frontends/onnx/shapes/Fact.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::onnx {

class Inferrer;

class NodeShapes {
public:
  NodeShapes(Inferrer &inferrer, const Node &node) : inferrer_(inferrer), node_(node) {}

  const Node &node() const { return node_; }
  int64_t version() const { return node_.version; }

  // Inputs. Of one that is absent nothing is known.
  size_t inputs() const { return node_.inputs.size(); }
  bool has(size_t i) const { return i < inputs() && node_.inputs[i] != kNoValue; }
  const Fact &in(size_t i) const;
  ElementType type(size_t i) const { return in(i).type; }
  bool has_shape(size_t i) const { return in(i).shape.has_value(); }
  const Shape &shape(size_t i) const; ///< empty where it is not known
  size_t rank(size_t i) const { return shape(i).size(); }
  /// The dimension, a fresh size where there is none.
  Dim dim(size_t i, size_t axis);
  std::optional<std::vector<Dim>> dims(size_t i) const { return in(i).integers(); }
  /// The input's elements, if they are all constant integers.
  std::optional<std::vector<int64_t>> constants(size_t i) const;

  // Attributes. One of the wrong kind is a problem, and as if it were absent.
  bool has_attribute(std::string_view name) const { return node_.find(name) != nullptr; }
  int64_t integer(std::string_view name, int64_t otherwise);
  float number(std::string_view name, float otherwise);
  std::optional<std::vector<int64_t>> integers(std::string_view name);
  std::string string(std::string_view name, std::string otherwise);
  const Graph *graph(std::string_view name);
  /// The element type that an attribute names by number.
  ElementType type_attribute(std::string_view name, ElementType otherwise);
  /// Integers that an attribute gives, or in newer versions an input. `known` is false where it is
  /// an input whose elements are known only when the model runs.
  std::optional<std::vector<int64_t>> attribute_or_input(std::string_view name, size_t input,
                                                         bool &known);

  // Results.
  size_t outputs() const { return node_.outputs.size(); }
  bool wants(size_t i) const { return i < outputs() && node_.outputs[i] != kNoValue; }
  void set(size_t i, ElementType type, Shape shape);
  void set_type(size_t i, ElementType type); ///< and no shape
  void set(size_t i, Fact fact);
  void set_elements(size_t i, Elements elements);
  /// What was said of an output; it is wanted.
  const Fact &output_fact(size_t i) const;
  /// As input `input`, elements too.
  void copy(size_t i, size_t input) { set(i, in(input)); }

  // What rules ask for most.
  /// A problem with the node, in words that follow its name.
  void fail(std::string what, std::string hint = "");
  bool failed() const { return failed_; }
  /// Whether the input's rank is that; a problem if not.
  bool want_rank(size_t input, size_t rank);
  bool want_rank_at_least(size_t input, size_t rank);
  /// Whether both have elements of one type; a problem if not, unless one is not known.
  bool want_same_type(size_t a, size_t b);
  /// The axis counted from the front; a problem, and 0, where there is no such axis.
  size_t axis(int64_t value, size_t rank);
  std::vector<size_t> axes(const std::vector<int64_t> &values, size_t rank);
  /// One size of two that have to be equal; `what` names them for a message.
  Dim unify(const Dim &a, const Dim &b, std::string_view what);
  Shape broadcast(const Shape &a, const Shape &b);
  /// A size that only a run tells, of output `output`.
  Dim fresh(size_t output, size_t axis);
  /// One that the node counts, of which it is known that it is at most `bound`.
  Dim counted(size_t output, size_t axis, const Dim &bound);
  Inferrer &inferrer() { return inferrer_; }

private:
  const Attribute *attribute(std::string_view name, AttributeKind kind);

  Inferrer &inferrer_;
  const Node &node_;
  bool failed_ = false;
};

Dim product(const Shape &shape, size_t begin, size_t end);
inline Dim product(const Shape &shape) { return product(shape, 0, shape.size()); }

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_NODESHAPES_H

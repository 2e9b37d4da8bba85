// The types and shapes of all values of a model, as functions of the sizes that a caller chooses,
// and the values of those small tensors that shapes are computed from.
//
// A size that the model names is a symbol; one that it does not name is a symbol called after the
// value and the axis ("x.0"). Equal names are equal sizes. Where an op demands that unlike ones are
// equal, they are taken to be, and the demand is kept as a Check for whoever calls the model; the
// graph is then looked at again with one in the place of the other. What a run alone can tell, as
// the number of elements that are not zero, is a symbol as well, called after the value that has
// it.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_INFERENCE_H
#define QUERN_FRONTENDS_ONNX_SHAPES_INFERENCE_H

#include "frontends/Problem.h"
#include "frontends/onnx/Graph.h"
#include "frontends/onnx/shapes/Fact.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace quern::onnx {

/// Two sizes that have to be equal for the model to mean anything.
struct Check {
  Dim a, b;
  std::string node; ///< that demands it
};

/// What is put in the place of a symbol.
struct Binding {
  Dim dim;
  std::string node; ///< that demands it
};

/// A symbol that no input's shape determines.
struct RunTimeSize {
  std::string symbol;
  ValueId value = kNoValue; ///< whose shape has it
  /// Where the model counts it while it runs, the most that it can be.
  std::optional<Dim> bound{};
};

struct Inference {
  std::vector<Fact> facts; ///< by value
  std::vector<Check> checks;
  /// Symbols that stand for others, "s43" for "s18"; each is a check, too.
  std::map<std::string, Binding> bindings;
  std::vector<RunTimeSize> run_time_sizes;
  std::set<std::string> unknown_ops; ///< for which there is no rule, qualified
  std::vector<std::string> notes;
  int rounds = 0;

  const Fact &fact(ValueId id) const { return facts[static_cast<size_t>(id)]; }
};

/// Infers all of it. Types, attributes and shapes that no op allows are problems, under the node's
/// name; what follows from them is not said again.
Inference infer(const Model &model, Problems &problems);

/// Whether there is a rule for the op of this domain ("" is ONNX's own).
bool has_rule(std::string_view domain, std::string_view op);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_INFERENCE_H

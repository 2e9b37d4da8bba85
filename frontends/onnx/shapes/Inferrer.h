// The state of one round of inference over a model (Inference.h).
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_INFERRER_H
#define QUERN_FRONTENDS_ONNX_SHAPES_INFERRER_H

#include "frontends/Problem.h"
#include "frontends/onnx/shapes/Inference.h"
#include "frontends/onnx/shapes/NodeShapes.h"

#include <string>

namespace quern::onnx {

class Inferrer {
public:
  /// `bindings`: what earlier rounds found, to be used from the start.
  Inferrer(const Model &model, std::map<std::string, Binding> bindings);

  void run();

  /// All nodes of a graph whose inputs' facts are set.
  void run(const Graph &graph);

  const Model &model() const { return model_; }
  Fact &fact(ValueId id) { return result_.facts[static_cast<size_t>(id)]; }
  Inference &result() { return result_; }
  Problems &problems() { return problems_; }
  /// Found in this round, beside those it began with.
  const std::map<std::string, Binding> &found() const { return found_; }

  void problem(const Node &node, std::string what, std::string hint);
  Dim unify(const Dim &a, const Dim &b, const Node &node, std::string_view what);
  /// A symbol of that name, or what it is bound to.
  Dim symbol(const std::string &name);
  /// What the file says of a value: names are symbols.
  Fact declared_fact(const Value &value);
  Dim fresh(ValueId value, size_t axis);
  Dim counted(ValueId value, size_t axis, const Dim &bound);
  /// The value's declared shape in the place of what a rule could not know.
  void take_declared(ValueId id);
  /// In a graph that may never run, or that is looked at again, problems are not said and nothing
  /// is demanded of sizes.
  bool quiet = false;
  int loop_depth = 0;

private:
  void run_node(const Node &node);
  /// What a symbol is called with the names of others.
  Dim named(const std::string &name);
  Dim resolved(const Dim &dim) const; ///< with what this round found
  /// Whether a size in it is known only when the model runs.
  bool is_of_run_time(const Dim &dim) const;
  void set_constant(ValueId id, const Tensor &tensor);

  const Model &model_;
  Inference result_;
  Problems problems_;
  std::map<std::string, Binding> found_;
  std::map<std::string, size_t> order_; ///< of symbols, as they came up
  std::set<std::string> input_names_;   ///< names of inputs' dimensions, as the file has them
};

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_INFERRER_H

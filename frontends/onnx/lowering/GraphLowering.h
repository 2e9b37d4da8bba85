// The state of lowering one graph: what each value became, and the module so far.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_GRAPHLOWERING_H
#define QUERN_FRONTENDS_ONNX_LOWERING_GRAPHLOWERING_H

#include "frontends/Problem.h"
#include "frontends/onnx/lowering/Arrays.h"
#include "frontends/onnx/shapes/Inference.h"
#include "frontends/onnx/shapes/SizeBounds.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace quern::onnx {

class NodeLowering;

class GraphLowering {
public:
  /// The inference's symbols are renamed where the IR means something else by them.
  GraphLowering(const Model &model, const Inference &inference,
                const std::vector<SizeBound> &bounds, mlir::MLIRContext &context,
                Problems &problems, std::vector<std::string> &notes);

  mlir::OwningOpRef<mlir::ModuleOp> run();

  const Model &model() const { return model_; }
  const Fact &fact(ValueId id) const { return facts_[static_cast<size_t>(id)]; }
  Arrays &arrays() { return arrays_; }
  Problems &problems() { return problems_; }
  std::vector<std::string> &notes() { return notes_; }

  /// The value as a tensor: a node's result, an argument, or a constant that is written here.
  Array array(ValueId id);
  void set(ValueId id, const Array &array) { arrays_of_[static_cast<size_t>(id)] = array; }
  bool is_set(ValueId id) const { return arrays_of_[static_cast<size_t>(id)].has_value(); }

  /// A float initializer of a file, as a weight; null where the value is none, or is small.
  mlir::Value weight(ValueId id);
  bool is_weight(ValueId id) const;

  /// An expression of the inference's as the IR has it: symbols renamed, and what the sizes' bounds
  /// decide decided.
  Dim settled(const Dim &dim) const;

  /// Whether every symbol of the shape is one that the entry's sizes give.
  bool is_sized(const Shape &shape) const;

private:
  void declare(mlir::ModuleOp module);
  void lower_node(const Node &node);
  /// Whether op, types and shapes are such as can be lowered; the node is refused if not.
  bool is_lowerable(NodeLowering &lowering);
  /// Refuses the node where what was written for it, behind `before`, is not sound.
  void check(NodeLowering &lowering, mlir::Operation *before);
  void finish(mlir::ModuleOp module);
  mlir::Location location(const Node &node);
  mlir::DictionaryAttr attributes(ValueId id);
  /// Of a tensor in the file.
  Array constant(ValueId id, const Tensor &tensor);
  /// Of elements that are known, some as expressions of sizes.
  Array known(const Fact &fact);

  const Model &model_;
  const Inference &inference_;
  const std::vector<SizeBound> &bounds_;
  Problems &problems_;
  std::vector<std::string> &notes_;
  mlir::OpBuilder builder_;
  mlir::OpBuilder declarations_;
  Arrays arrays_;
  std::vector<Fact> facts_;
  std::map<std::string, std::string> renamed_; ///< symbols
  symbols::Maxima limits_;                     ///< by the names of the inference
  symbols::Maxima limits_of_ir_;               ///< by those of the IR
  std::vector<std::optional<Array>> arrays_of_;
  std::map<ValueId, std::string> weights_; ///< that are declared
  /// Sizes that have to be equal beside those that the inference demands, with who says so.
  std::map<std::pair<std::string, std::string>, std::string> equal_;
};

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_GRAPHLOWERING_H

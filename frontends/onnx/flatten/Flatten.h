// Graphs within graphs, put in the place of the nodes that have them.
//
// A branch that is known to be taken stands for its If; where only a run tells, both are computed
// and one is chosen, if they give the same shapes. A Loop or a Scan whose number of turns is known
// becomes so many copies of its body. Optionals are what is in them, and FlexAttention is the
// products that its definition says with the graphs that modify its scores between them. What is
// left is a graph of plain nodes, of which shapes, raising and code know nothing new; but for loops
// of a length that a call chooses, which stay as they are.
#ifndef QUERN_FRONTENDS_ONNX_FLATTEN_FLATTEN_H
#define QUERN_FRONTENDS_ONNX_FLATTEN_FLATTEN_H

#include "frontends/Problem.h"
#include "frontends/onnx/Graph.h"
#include "frontends/onnx/shapes/Inference.h"

#include <optional>
#include <string>

namespace quern::onnx {

/// As many nodes as a graph may have after its loops were written out.
inline constexpr size_t kMostFlatNodes = 20000;

/// Flattens the model as far as it goes, and infers what is left (infer).
Inference flatten(Model &model, Problems &problems);

/// Why a node with graphs was left as it was, in words that follow its op, and what to do.
struct NotFlat {
  std::string what, hint;
};

/// Asks of a flattened model why nodes were left, by trying them on a copy of it.
class WhyNotFlat {
public:
  WhyNotFlat(const Model &model, const Inference &inference)
      : model_(model), inference_(inference) {}

  /// Nothing for nodes that are not flattened at all.
  std::optional<NotFlat> operator()(const Node &node);

private:
  /// Nodes within graphs that are left can be flat themselves, which writes to the copy. So many
  /// copies are made; what comes afterwards is said to lie in a graph that is left.
  static constexpr int kMostCopies = 32;

  const Model &model_;
  const Inference &inference_;
  std::optional<Model> copy_;
  int copies_ = 0;
};

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_FLATTEN_FLATTEN_H

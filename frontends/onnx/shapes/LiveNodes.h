// Which nodes are left to compute when the model runs.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_LIVENODES_H
#define QUERN_FRONTENDS_ONNX_SHAPES_LIVENODES_H

#include "frontends/onnx/Graph.h"
#include "frontends/onnx/shapes/Inference.h"

#include <vector>

namespace quern::onnx {

/// For each node of the model's graph, whether a result of it is used whose elements are not known
/// before: nodes that compute shapes are not, nor those of which nothing is used. Nodes of
/// subgraphs belong to the node that has them.
std::vector<bool> live_nodes(const Model &model, const Inference &inference);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_LIVENODES_H

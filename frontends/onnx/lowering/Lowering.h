// From an ONNX graph whose shapes are known to import-phase IR: one function, main, of tensors.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_LOWERING_H
#define QUERN_FRONTENDS_ONNX_LOWERING_LOWERING_H

#include "frontends/Problem.h"
#include "frontends/onnx/Graph.h"
#include "frontends/onnx/shapes/Inference.h"
#include "frontends/onnx/shapes/SizeBounds.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <string_view>
#include <vector>

namespace quern::onnx {

/// The model's module; null with problems: every node that is not lowered, by its name, with what
/// to do. Only nodes are lowered of which something is left to compute when the model runs; what is
/// known before becomes a constant, or an expression of sizes. `notes`: what is taken on trust.
mlir::OwningOpRef<mlir::ModuleOp> lower(const Model &model, const Inference &inference,
                                        const std::vector<SizeBound> &bounds,
                                        mlir::MLIRContext &context, Problems &problems,
                                        std::vector<std::string> &notes);

/// Whether the op is in the table of what is lowered.
bool can_lower(std::string_view domain, std::string_view op);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_LOWERING_H

// Everything that can be seen to stand between an .onnx file and its compilation before IR is made
// of it, in one look at it.
#ifndef QUERN_FRONTENDS_ONNX_CHECKMODEL_H
#define QUERN_FRONTENDS_ONNX_CHECKMODEL_H

#include "frontends/Problem.h"
#include "frontends/onnx/Graph.h"
#include "frontends/onnx/shapes/Inference.h"
#include "frontends/onnx/shapes/SizeBounds.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::onnx {

/// A model with what is known of it.
struct CheckedModel {
  Model model;
  Inference inference;
  std::vector<SizeBound> bounds;
  /// The model's sizes with their bounds, how much of it computes shapes.
  std::vector<std::string> notes;
};

/// Reads the model at `path`, infers its shapes and adds a problem for everything that would stop a
/// compile: what is damaged, shapes and types that disagree, and, once for each op and type with
/// the nodes' names and number, what Quern makes no code for. `dims` are the bounds of --dim;
/// `can_lower` says of which ops IR is made (lowering/Lowering.h). Nothing where the file is no
/// model.
std::optional<CheckedModel>
check_model(const std::string &path, const std::map<std::string, int64_t> &dims,
            bool (*can_lower)(std::string_view domain, std::string_view op), Problems &problems);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_CHECKMODEL_H

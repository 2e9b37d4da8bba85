// Opening an .onnx file: from bytes that anyone may have written to a checked Model.
//
// Data outside the file (external_data) are taken from files in the model's own folder alone: one
// that is named by an absolute path or by way of "..", or that a link leads out of it, is refused.
#ifndef QUERN_FRONTENDS_ONNX_ONNXFILE_H
#define QUERN_FRONTENDS_ONNX_ONNXFILE_H

#include "frontends/Problem.h"
#include "frontends/onnx/Graph.h"

#include <optional>
#include <string>

namespace quern::onnx {

/// Reads the model at `path`. Every problem is added, up to kMostProblems; with any, what is
/// returned is as much of the model as could be read, or nothing.
inline constexpr size_t kMostProblems = 1000;
std::optional<Model> read_model(const std::string &path, Problems &problems);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_ONNXFILE_H

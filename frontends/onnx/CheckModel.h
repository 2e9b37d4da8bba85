// Everything that stands between an .onnx file and its compilation, in one look at it.
#ifndef QUERN_FRONTENDS_ONNX_CHECKMODEL_H
#define QUERN_FRONTENDS_ONNX_CHECKMODEL_H

#include "frontends/Problem.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace quern::onnx {

/// Reads the model at `path`, infers its shapes and adds a problem for everything that would stop a
/// compile: what is damaged, shapes and types that disagree, and, once for each op and type with
/// the nodes' names and number, what Quern makes no code for. `dims` are the bounds of --dim.
/// Returns what is worth knowing: the model's sizes with their bounds, how much of it computes
/// shapes.
std::vector<std::string> check_model(const std::string &path,
                                     const std::map<std::string, int64_t> &dims,
                                     Problems &problems);

/// Whether the compiler makes code of the op: the one table that check and the lowering go by.
bool can_lower(std::string_view domain, std::string_view op);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_CHECKMODEL_H

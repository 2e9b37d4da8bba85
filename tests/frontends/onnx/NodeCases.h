// Cases of a node or a few: small models with what goes in and what has to come out. Files of them
// are written by node_cases.py.
#ifndef QUERN_TESTS_FRONTENDS_ONNX_NODECASES_H
#define QUERN_TESTS_FRONTENDS_ONNX_NODECASES_H

#include "runtime/artifact/Artifact.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace quern::test {

/// A tensor as the runtime has it: types of less than a byte take one.
struct CaseTensor {
  std::string name;
  artifact::ElementType type = artifact::ElementType::f32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

struct NodeCase {
  std::string name;
  double rtol = 0, atol = 0;
  std::string model; ///< the bytes of an .onnx file
  std::vector<CaseTensor> inputs, outputs;
};

/// Errors: NotFound, or DataLoss where it is no file of cases or a damaged one.
absl::StatusOr<std::vector<NodeCase>> read_node_cases(const std::string &path);

/// What of `got` is not `want`: another type or shape, an integer that is not the same, a float off
/// by more than atol + rtol * |want|; "" if nothing is.
std::string difference(const CaseTensor &got, const CaseTensor &want, double rtol, double atol);

} // namespace quern::test

#endif // QUERN_TESTS_FRONTENDS_ONNX_NODECASES_H

// What a call's inputs say: the symbols of an entry of plain tensors, and its outputs' shapes.
#ifndef QUERN_RUNTIME_SESSION_CALLSHAPES_H
#define QUERN_RUNTIME_SESSION_CALLSHAPES_H

#include "runtime/artifact/Artifact.h"
#include "runtime/session/Engine.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace quern::session {

/// The values of T, B and R (-1: no input says), or of the entry's sizes: of one that the model
/// counts the most that it can be.
struct CallShape {
  int64_t tokens = -1, seqs = -1, rows = -1;
  std::vector<int64_t> dims;
};

/// Errors: InvalidArgument, naming the input, its dimension and what it must be; or the node of the
/// model that demands what two sizes are not: to be equal.
absl::StatusOr<CallShape> bind_inputs(const artifact::Entry &entry, std::span<const Tensor> inputs);

/// Type, shape and bytes of each output: the greatest that they can be, or once the sizes that the
/// model counts are known, what they are. Errors: InvalidArgument, for a shape that no input
/// determines or that has no value for these sizes.
absl::StatusOr<std::vector<Tensor>> shapes_of_outputs(const artifact::Entry &entry,
                                                      const CallShape &call, bool counted = false);

/// Whether the entry is called with plain tensors. What else is one is for steps of sequences:
/// `step`, and an `encode` that packs them.
bool is_callable(const artifact::Entry &entry);

/// Whether the model counts some of the entry's sizes.
bool counts_sizes(const artifact::Entry &entry);

/// "[2, 3]".
std::string shape_text(std::span<const int64_t> shape);

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_CALLSHAPES_H

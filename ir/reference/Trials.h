// Made-up inputs for entries that work on tensors.
#ifndef QUERN_IR_REFERENCE_TRIALS_H
#define QUERN_IR_REFERENCE_TRIALS_H

#include "ir/reference/Tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace quern::reference {

/// Inputs of one call, and a name for messages: "b = 2, s = 3".
struct Trial {
  std::string name;
  std::vector<Tensor> inputs;
};

/// By entry.
using Trials = std::map<std::string, std::vector<Trial>>;

/// Whether an entry is stepped with a batch, and not called with tensors.
bool takes_batch(mlir::func::FuncOp function);

/// Makes all integers of the calls as small as they may be, for a program that uses some as indices
/// of what has one element.
void calm(Trials &trials);

/// Calls of every entry of the module that takes no batch, under two choices of its sizes: small,
/// unlike each other, no greater than they may be, equal where they have to be, and such that no
/// tensor of the module is empty, if that can be had. Floats are normally distributed; integers and
/// bools are 0 or 1, which are a mask and whatever else: a program that reads another tensor there
/// sees to it that no index is out of range. Where the module divides integers they are 1 or 2.
/// Fails if there are no such sizes.
absl::StatusOr<Trials> trials(mlir::ModuleOp module, uint64_t seed);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_TRIALS_H

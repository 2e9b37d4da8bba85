// The sizes that a caller chose, by name, and the shapes that types say with them.
#ifndef QUERN_IR_REFERENCE_SIZES_H
#define QUERN_IR_REFERENCE_SIZES_H

#include "ir/reference/Tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace quern::reference {

class Sizes {
public:
  Sizes() = default;
  explicit Sizes(std::map<std::string, int64_t> values) : values_(std::move(values)) {}

  const std::map<std::string, int64_t> &values() const { return values_; }
  void set(const std::string &name, int64_t value) {
    values_[name] = value;
    known_.clear();
  }
  /// The value of an expression of ir/symbols.
  absl::StatusOr<int64_t> of(llvm::StringRef dim);
  /// Fails on a dynamic dimension that has no name.
  absl::StatusOr<std::vector<int64_t>> shape(mlir::RankedTensorType type);
  /// Fails unless the tensor's element type and shape are the type's, as far as it says them.
  absl::Status check(const Tensor &tensor, mlir::RankedTensorType type);

private:
  std::map<std::string, int64_t> values_;
  llvm::StringMap<int64_t> known_;
};

/// The name of each dynamic dimension of the type, and an empty one of each that is fixed or has
/// none.
std::vector<std::string> dim_names(mlir::RankedTensorType type);

/// What callers call the entry's argument or result: `input input_ids`.
std::string argument_name(mlir::func::FuncOp function, unsigned number);
std::string result_name(mlir::func::FuncOp function, unsigned number);

/// Fails, naming inputs and dimensions, unless the sizes are no greater than the module's
/// `quern.sizes` and what the function says to be equal is equal.
absl::Status check_sizes(mlir::func::FuncOp function, Sizes &sizes);

/// The sizes that inputs of an entry have: a dimension that is one name gives it its value, all
/// others are checked.
absl::StatusOr<Sizes> bind_sizes(mlir::func::FuncOp function, std::span<const Tensor> inputs);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_SIZES_H

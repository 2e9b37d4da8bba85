// The loops of a linalg op: how far they run, and which elements of operands their points read
// (internal to ir/reference).
#ifndef QUERN_IR_REFERENCE_LOOPS_H
#define QUERN_IR_REFERENCE_LOOPS_H

#include "ir/reference/Tensor.h"

#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/ArrayRef.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace quern::reference {

/// Points of some loops in row-major order, the last loop the fastest.
class Points {
public:
  Points(std::vector<unsigned> loops, llvm::ArrayRef<int64_t> extents);

  int64_t count() const { return count_; }
  llvm::ArrayRef<unsigned> loops() const { return loops_; }
  /// Sets the loops' places in `at` to those of a point.
  void go_to(int64_t point, std::vector<int64_t> &at) const;
  /// To the next point.
  void advance(std::vector<int64_t> &at) const {
    for (size_t i = loops_.size(); i-- > 0;) {
      if (++at[loops_[i]] < extents_[i])
        return;
      at[loops_[i]] = 0;
    }
  }

private:
  std::vector<unsigned> loops_;
  std::vector<int64_t> extents_;
  int64_t count_ = 1;
};

/// Which elements of a tensor the points of loops read: those that an affine map says.
class Access {
public:
  /// Fails if a point would read outside of the tensor; where the map is not linear that is seen
  /// when the point comes.
  static absl::StatusOr<Access> create(TensorPtr tensor, mlir::AffineMap map,
                                       llvm::ArrayRef<int64_t> extents);

  const Tensor &tensor() const { return *tensor_; }
  /// Whether the element's place is base() + the sum of loops times their strides.
  bool linear() const { return linear_; }
  int64_t base() const { return base_; }
  const std::vector<int64_t> &strides() const { return strides_; }

  absl::StatusOr<int64_t> place(llvm::ArrayRef<int64_t> at) const;

private:
  TensorPtr tensor_;
  mlir::AffineMap map_;
  bool linear_ = true;
  int64_t base_ = 0;
  std::vector<int64_t> strides_;      ///< by loop
  std::vector<int64_t> tensor_steps_; ///< by dimension of the tensor
};

/// The expression's value at these dims and symbols; nothing where it divides by a number that is
/// not positive.
std::optional<int64_t> affine_value(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> dims,
                                    llvm::ArrayRef<int64_t> symbols = {});

/// How far each loop runs: as the dimensions say that it alone counts. Fails where two disagree.
absl::StatusOr<std::vector<int64_t>> extents_of(llvm::ArrayRef<TensorPtr> operands,
                                                llvm::ArrayRef<mlir::AffineMap> maps);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_LOOPS_H

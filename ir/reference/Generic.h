// A linalg op as loops around a body (internal to ir/reference).
#ifndef QUERN_IR_REFERENCE_GENERIC_H
#define QUERN_IR_REFERENCE_GENERIC_H

#include "ir/reference/Body.h"
#include "ir/reference/Loops.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <vector>

namespace quern::reference {

/// What an op of linalg computes, in one of three ways that give the same but for how sums round:
/// all points of the parallel loops at once and reductions step by step; a reduction that combines
/// numbers with one op, these numbers at once; and sums of products, without a body.
class Generic {
public:
  struct Options {
    bool float64 = false; ///< floats are doubles, whatever their type
    int threads = 1;
  };

  /// `operands`: the op's, inputs and then outputs.
  static absl::StatusOr<Generic> create(mlir::linalg::LinalgOp op, std::vector<TensorPtr> operands,
                                        Options options);

  /// The results. `outside` gives the values that the body uses from outside of it.
  absl::StatusOr<std::vector<Tensor>> run(Body::Outside outside);

private:
  /// The op that puts the number of a point to what there is, and that number.
  struct Combiner {
    mlir::Operation *op;
    mlir::Value number;
  };
  /// An input, or what a cast makes of it.
  struct Factor {
    unsigned input;
    mlir::Operation *cast;
  };

  explicit Generic(mlir::linalg::LinalgOp op, Options options) : op_(op), options_(options) {}

  absl::Status check_outputs() const;
  /// The combiner of each result; none if one has none.
  std::vector<Combiner> combiners();
  std::optional<Factor> factor(mlir::Value value);
  bool reads_output(mlir::Value value);

  absl::StatusOr<bool> run_contraction(const std::vector<Combiner> &combiners);
  absl::Status run_combined(Body::Outside outside, const std::vector<Combiner> &combiners);
  absl::Status run_stepwise(Body::Outside outside);

  /// Fills the body's inputs and counters for `count` points from `first`; loops that are not of
  /// the points are where `at` says.
  absl::Status read(Body &body, const Points &points, int64_t first, size_t count,
                    std::vector<int64_t> &at);
  /// Where the results' elements of these points are.
  std::vector<std::vector<int64_t>> output_places(const Points &points, int64_t first, size_t count,
                                                  std::vector<int64_t> &at) const;

  mlir::Block &block() { return *op_.getBlock(); }
  size_t inputs() const { return accesses_.size() - results_.size(); }

  mlir::linalg::LinalgOp op_;
  Options options_;
  std::vector<int64_t> extents_;
  std::vector<bool> reductions_;
  std::vector<unsigned> parallel_loops_, reduction_loops_;
  std::vector<Access> accesses_; ///< of all operands
  std::vector<Tensor> results_;
};

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_GENERIC_H

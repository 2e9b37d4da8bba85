// What a kernel says where a model's data are at fault: an index outside of what it indexes, a
// division by 0.
//
// A check in a loop only keeps what is wrong, in a number that the loop's vectorizer takes for a
// reduction; whether there was anything is asked once, at the kernel's end. What is computed then
// goes on with a number that is within bounds.
#ifndef QUERN_CODEGEN_CPU_FAULTS_H
#define QUERN_CODEGEN_CPU_FAULTS_H

#include "codegen/cpu/Kernel.h"

#include "llvm/ADT/MapVector.h"

#include <variant>

namespace quern::cpu {

class Faults {
public:
  /// `dispatch`: the number of the dispatch that runs the kernel.
  Faults(Kernel &kernel, Value dispatch);

  /// The index, counted from the front and held within the size.
  Value check(CheckIndexOp op, Value index, Value size);
  /// The divisor, or 1.
  Value check(CheckDivisorOp op, Value divisor);
  /// Says at once what is wrong.
  void report(mlir::Operation *op, Value value, Value limit);
  /// Says what was kept; written behind everything else.
  void reportKept();

private:
  /// A limit that is known is kept as a number: where its constant stands may not last, and need
  /// not be seen at the kernel's end.
  struct Kept {
    Value slot; ///< 0, or the worst value
    std::variant<int64_t, Value> limit;
  };
  Value slotOf(mlir::Operation *op, std::variant<int64_t, Value> limit);

  Kernel &kernel;
  Code &code;
  Value dispatch;
  llvm::DenseMap<mlir::Operation *, int64_t> sites;
  llvm::MapVector<mlir::Operation *, Kept> kept;
};

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_FAULTS_H

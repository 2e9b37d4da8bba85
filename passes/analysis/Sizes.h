// The sizes that an entry's caller chooses, and what a dimension comes to at most.
#ifndef QUERN_PASSES_ANALYSIS_SIZES_H
#define QUERN_PASSES_ANALYSIS_SIZES_H

#include "ir/quern/QuernDialect.h"
#include "ir/symbols/Bounds.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace quern {

/// A number of bytes or elements that is too great to count with: products and sums end there.
inline constexpr int64_t kTooMany = int64_t{1} << 60;

/// The module's `quern.sizes`: each size and its greatest value.
symbols::Maxima sizesOf(mlir::Operation *op);

/// The module's `quern.counted_sizes`; null where there are none.
mlir::DictionaryAttr countedSizesOf(mlir::Operation *op);

/// The counted size that the op gives its value; empty where its result's dimension is none.
llvm::StringRef countedSize(WhereTrueOp op);

/// Counted sizes by their place in `quern.sizes`: those that a kernel's types and ops mention, and
/// those that it gives their values.
struct CountedUses {
  llvm::SmallVector<unsigned, 2> read, written;
};
CountedUses countedUses(KernelOp kernel);

/// The dimension that the text is, if it is an expression over these sizes.
std::optional<symbols::Dim> dimOf(llvm::StringRef text, const symbols::Maxima &sizes);

/// The greatest value of an expression, from 0 to kTooMany.
int64_t mostOf(const symbols::Dim &dim, const symbols::Maxima &sizes);

/// Whether what is called with is sizes: the entry has no batch, and none of its arguments and
/// results is counted by T, B or R.
bool takesSizes(mlir::func::FuncOp entry);

/// Names of a tensor type's dynamic dimensions; none of another type.
llvm::ArrayRef<mlir::StringAttr> dimNames(mlir::Type type);

/// Bytes of an element as tensors have it in memory: those of less than a byte take one.
int64_t elementBytes(mlir::Type element);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_SIZES_H

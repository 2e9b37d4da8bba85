// What callers are told of an entry: element types, and expressions over the sizes they choose.
#ifndef QUERN_CODEGEN_ARTIFACT_SIGNATURES_H
#define QUERN_CODEGEN_ARTIFACT_SIGNATURES_H

#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Sizes.h"
#include "runtime/artifact/manifest_generated.h"

#include "mlir/IR/BuiltinTypes.h"

#include <absl/status/statusor.h>

#include <string>
#include <vector>

namespace quern::artifact {

/// The type that callers know the elements by: `said`, the value of `quern.element`, where it is
/// not empty (the names of ElementType, and bool), else what the stored type is.
absl::StatusOr<ElementType> element_type_of(mlir::Type stored, llvm::StringRef said);

/// The expression as the runtime computes it, sizes numbered in their order.
std::vector<SizeStep> size_steps(const symbols::Dim &dim, const symbols::Maxima &sizes);

/// An expression's text as the manifest has it. Errors: it is none over these sizes, or can be more
/// than the runtime takes.
absl::StatusOr<flatbuffers::Offset<SizeExpression>>
size_expression(flatbuffers::FlatBufferBuilder &builder, llvm::StringRef text,
                const symbols::Maxima &sizes);

/// The sizes of an entry: name, greatest value, and of those in `counted`, the module's
/// `quern.counted_sizes`, the bound.
absl::StatusOr<flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Size>>>>
entry_sizes(flatbuffers::FlatBufferBuilder &builder, const symbols::Maxima &sizes,
            mlir::DictionaryAttr counted);

/// What the kernel of a dispatch can find to be at fault.
flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<FaultSite>>>
fault_sites(flatbuffers::FlatBufferBuilder &builder, DispatchOp dispatch, KernelOp kernel);

/// `element`: what `quern.element` says, or null. `sizes`: null in an entry of tokens.
absl::StatusOr<flatbuffers::Offset<TensorDesc>>
tensor_desc(flatbuffers::FlatBufferBuilder &builder, const std::string &name, mlir::Type type,
            mlir::StringAttr element, const symbols::Maxima *sizes);

/// What the function's `quern.equal_sizes` demands.
absl::StatusOr<flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<EqualSizes>>>>
equal_sizes(flatbuffers::FlatBufferBuilder &builder, mlir::func::FuncOp func,
            const symbols::Maxima &sizes);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_SIGNATURES_H

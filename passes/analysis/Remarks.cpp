#include "passes/analysis/Remarks.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace quern {

std::string companions(FusedOp fused) {
  SmallVector<StringRef> names;
  for (Operation &op : fused.getBody().front().without_terminator())
    if (!op.hasTrait<View>() && op.getName().stripDialect() != fused.getAnchor())
      names.push_back(op.getName().getStringRef());
  return llvm::join(names, ", ");
}

} // namespace quern

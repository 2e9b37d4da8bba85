#include "passes/analysis/Remarks.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace quern {

std::string companions(FusedOp fused) {
  SmallVector<StringRef> names;
  AnchorOpInterface anchor = fused.anchorOp();
  for (Operation &op : fused.getBody().front().without_terminator())
    if (!op.hasTrait<View>() && &op != anchor)
      names.push_back(op.getName().getStringRef());
  return llvm::join(names, ", ");
}

} // namespace quern

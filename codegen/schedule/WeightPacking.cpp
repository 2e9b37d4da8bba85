#include "codegen/schedule/WeightPacking.h"

#include "ir/formats/Format.h"
#include "ir/quern/QuernDialect.h"

namespace quern::codegen {

llvm::FailureOr<formats::Packing> packingOf(mlir::Operation *user, mlir::Value weight) {
  const llvm::StringRef format = mlir::cast<WeightType>(weight.getType()).getFormat().getValue();
  const formats::Format *found = formats::find_format({format.data(), format.size()});
  if (!found) {
    user->emitError("no kernel reads weights in the format '") << format << "'";
    return mlir::failure();
  }
  return found->packing();
}

} // namespace quern::codegen

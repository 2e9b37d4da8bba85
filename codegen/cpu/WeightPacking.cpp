// See WeightPacking.h.
#include "codegen/cpu/WeightPacking.h"

#include "ir/formats/Format.h"
#include "ir/quern/QuernDialect.h"

using namespace quern;

std::string cpu::symbolOf(const formats::Packing &packing) {
  std::string name = formats::packing_name(packing);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

llvm::FailureOr<formats::Packing> cpu::packingOf(mlir::Operation *user, mlir::Value weight) {
  llvm::StringRef format = mlir::cast<WeightType>(weight.getType()).getFormat().getValue();
  const formats::Format *found = formats::find_format({format.data(), format.size()});
  if (!found) {
    user->emitError("the cpu target has no kernel for weights in the format '") << format << "'";
    return mlir::failure();
  }
  return found->packing();
}

// See WeightPacking.h.
#include "codegen/cuda/WeightPacking.h"

#include "ir/formats/Format.h"
#include "ir/quern/QuernDialect.h"

#include <absl/strings/str_cat.h>

namespace quern::cuda {

llvm::FailureOr<formats::Packing> packingOf(mlir::Operation *user, mlir::Value weight) {
  const llvm::StringRef format = mlir::cast<WeightType>(weight.getType()).getFormat().getValue();
  const formats::Format *found = formats::find_format({format.data(), format.size()});
  if (!found) {
    user->emitError("the cuda target has no kernel for weights in the format '") << format << "'";
    return mlir::failure();
  }
  return found->packing();
}

std::string packingText(const formats::Packing &packing) {
  switch (packing.kind) {
  case formats::Packing::F32:
    return "kF32";
  case formats::Packing::F16:
    return "kF16";
  case formats::Packing::BF16:
    return "kBf16";
  case formats::Packing::Q:
    break;
  }
  constexpr const char *kScales[] = {"F16", "F32", "U8", "I8"};
  return absl::StrCat(
      "packing(", packing.bits, ", ", packing.group, ", ", packing.zero_point, ", ",
      packing.has_min ? "true" : "false", ", Scale::", kScales[static_cast<int>(packing.scale)],
      ", ", packing.super == formats::kWholeRow ? "kWholeRow" : absl::StrCat(packing.super), ")");
}

} // namespace quern::cuda

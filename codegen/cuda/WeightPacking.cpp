// See WeightPacking.h.
#include "codegen/cuda/WeightPacking.h"

#include <absl/strings/str_cat.h>

namespace quern::cuda {

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

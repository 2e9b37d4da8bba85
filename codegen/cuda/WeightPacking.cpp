// See WeightPacking.h.
#include "codegen/cuda/WeightPacking.h"

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
  return "packings::" + formats::packing_symbol(packing);
}

} // namespace quern::cuda

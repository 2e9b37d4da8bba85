// See LinearProduct.h.
#include "codegen/cuda/LinearProduct.h"

#include "codegen/cuda/WeightPacking.h"

namespace quern::cuda {

LinearProduct productFor(const ProductShape &shape) {
  // Sums of so many rows stay in registers.
  constexpr int64_t kMostRows = 8, kWarps = 8;
  const int64_t rows = shape.form == Form::Many ? kMostRows : 1;
  return {.header = "PlainProducts.cuh",
          .type = absl::StrCat(shape.quantized ? "PlainQ8Product<" : "PlainFloatProduct<",
                               packingText(shape.packing), ", ", shape.inputs, ", ", rows, ">"),
          .rows = rows,
          .panels = 1,
          .scratch = kWarps * rows * formats::kPanelLanes * 4};
}

} // namespace quern::cuda

// See LinearProduct.h.
#include "codegen/cuda/LinearProduct.h"

#include "codegen/cuda/WeightPacking.h"
#include "codegen/cuda/device/StreamedShape.h"
#include "codegen/cuda/tuning/ProductTable.h"

namespace quern::cuda {

LinearProduct productFor(const ProductShape &shape) {
  // Sums of so many rows stay in registers.
  constexpr int kMostRows = 8;
  const int rows = shape.form == Form::Many ? kMostRows : 1;
  // generate() has seen that the table can be read.
  const auto &table = ProductTable::current();
  const StreamedCut cut =
      table.ok() ? table->cut(shape.packing, shape.panels, shape.inputs) : StreamedCut();
  const StreamedShape streamed =
      streamed_shape(shape.packing, shape.panels, shape.inputs, rows, cut);
  const std::string stem = shape.quantized ? "StreamedQ8Product" : "StreamedFloatProduct";
  const std::string text =
      absl::StrCat("streamed_shape(", packingText(shape.packing), ", ", shape.panels, ", ",
                   shape.inputs, ", ", rows,
                   cut.is_default() ? ""
                                    : absl::StrCat(", {.panels = ", cut.panels,
                                                   ", .warp_bytes = ", cut.warp_bytes, "}"),
                   ")");
  return {.header = stem + ".cuh",
          .type = absl::StrCat(stem, "<", text, ", ", shape.outputs, ", decltype(panel_of)",
                               shape.chosen ? ", ChosenRows>" : ">"),
          .shape = text,
          .rows = rows,
          .panels = streamed.panels,
          .scratch = streamed.shared_bytes()};
}

} // namespace quern::cuda

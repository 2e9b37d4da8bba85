// Which of the device library's matrix products a linear kernel is written around.
#ifndef QUERN_CODEGEN_CUDA_LINEARPRODUCT_H
#define QUERN_CODEGEN_CUDA_LINEARPRODUCT_H

#include "codegen/cuda/Kernel.h"
#include "ir/formats/Packing.h"

#include <string>

namespace quern::cuda {

/// A product of some rows of activations with some panels of weights, as
/// device/StreamedProducts.cuh says what such a class has.
struct LinearProduct {
  std::string header; ///< of codegen/cuda/device
  std::string type;   ///< `panel_of` in it are the panels that a block will want
  std::string shape;  ///< "streamed_shape(packing(...), 128, 2048, 1)"
  int64_t rows;       ///< of a tile: its kRows
  int64_t panels;     ///< its kPanels: 1, or a divisor of all panels that is even
  int64_t scratch;    ///< its kScratch
};

/// What the product has to be like.
struct ProductShape {
  formats::Packing packing;
  int64_t inputs, outputs; ///< of the weight
  int64_t panels;          ///< of the kernel's columns: a multiple of the product's
  Form form;
  bool quantized;      ///< rows are q8_rows, else floats
  bool chosen = false; ///< rows are those of a list (ChosenRows)
};

/// The fastest product that there is.
LinearProduct productFor(const ProductShape &shape);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_LINEARPRODUCT_H

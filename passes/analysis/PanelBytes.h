// What a matrix takes in a packing.
#ifndef QUERN_PASSES_ANALYSIS_PANELBYTES_H
#define QUERN_PASSES_ANALYSIS_PANELBYTES_H

#include "ir/formats/PackingLayout.h"
#include "ir/quern/QuernDialect.h"

namespace quern {

/// Bytes of a matrix in panels: of experts', whole panels for each.
inline int64_t panelBytes(WeightType type, const formats::Packing &packing) {
  llvm::ArrayRef<int64_t> shape = type.getShape();
  const int64_t experts = shape.size() == 3 ? shape[0] : 1;
  return experts * packing.bytes(shape[shape.size() - 2], shape.back());
}

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_PANELBYTES_H

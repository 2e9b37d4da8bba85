// Types of ONNX's values as MLIR has them.
//
// Integers are signless: ops say how they are read. Types that MLIR's own arithmetic does not know
// (floats of 8 bits and fewer, integers of fewer than 8) are bytes: a float by its code in the low
// bits, an integer by its value. An entry's arguments and results say by `quern.element` what
// callers know them as.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_TYPES_H
#define QUERN_FRONTENDS_ONNX_LOWERING_TYPES_H

#include "frontends/onnx/ElementType.h"
#include "frontends/onnx/shapes/Fact.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"

#include <optional>
#include <string_view>

namespace quern::onnx {

/// Null for a type that no code takes: strings, complex numbers.
mlir::Type stored_type(mlir::MLIRContext *context, ElementType type);

/// A tensor of it; each size that is not fixed is named in the type.
mlir::RankedTensorType tensor_type(mlir::MLIRContext *context, ElementType type,
                                   const Shape &shape);

/// What `quern.element` calls the type, where its stored type does not say it.
std::optional<std::string_view> element_name(ElementType type);

/// A float that is stored as its code: of 8 bits and fewer.
bool is_small_float(ElementType type);
/// A float that arithmetic is done in.
inline bool is_real(ElementType type) { return is_float(type) && !is_small_float(type); }

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_TYPES_H

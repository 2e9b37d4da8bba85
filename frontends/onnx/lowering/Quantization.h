// Numbers to small types with scales and back, for the ops that are made of both.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_QUANTIZATION_H
#define QUERN_FRONTENDS_ONNX_LOWERING_QUANTIZATION_H

#include "frontends/onnx/lowering/Arrays.h"

#include <optional>

namespace quern::onnx {

/// A scale or zero point brought to where it broadcasts with x: one for all, one for each place of
/// an axis, or one for each block of `block` places of it.
Array spread(Arrays &arrays, const Array &scale, const Array &x, size_t axis, int64_t block);

/// An element, a float, as an integer of type `to`: rounded to even, the zero point (an int32)
/// added, held in the type's range.
Scalar quantized(const Scalar &ratio, const std::optional<Scalar> &zero, ElementType to);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_QUANTIZATION_H

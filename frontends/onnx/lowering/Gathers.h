// Elements chosen by indices, for the ops that look something up.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_GATHERS_H
#define QUERN_FRONTENDS_ONNX_LOWERING_GATHERS_H

#include "frontends/onnx/lowering/Arrays.h"

namespace quern::onnx {

/// An index, negative ones counted from the end, within 0..size-1.
Scalar inside(const Scalar &at, const Scalar &size);

/// As ONNX's Gather: x's `axis` becomes the dimensions of `indices`.
Array gather(Arrays &arrays, const Array &x, const Array &indices, size_t axis);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_GATHERS_H

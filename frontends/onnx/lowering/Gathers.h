// Elements chosen by indices, for the ops that look something up.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_GATHERS_H
#define QUERN_FRONTENDS_ONNX_LOWERING_GATHERS_H

#include "frontends/onnx/lowering/Arrays.h"

namespace quern::onnx {

/// As ONNX's Gather, which allows no index outside of the axis: x's `axis` becomes the dimensions
/// of `indices`.
Array gather(Arrays &arrays, const Array &x, const Array &indices, size_t axis);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_GATHERS_H

// Where a slice begins and ends, as ONNX counts: from either end, and as far beyond as one likes.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_SLICEBOUNDS_H
#define QUERN_FRONTENDS_ONNX_SHAPES_SLICEBOUNDS_H

#include "ir/symbols/Dim.h"

namespace quern::onnx {

/// The place `at` of a dimension of `size`, counted from the front and within low..high.
symbols::Dim slice_bound(const symbols::Dim &at, const symbols::Dim &size, const symbols::Dim &low,
                         const symbols::Dim &high);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_SLICEBOUNDS_H

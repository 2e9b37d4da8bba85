// Reductions that other ops are made with.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_REDUCTIONS_H
#define QUERN_FRONTENDS_ONNX_LOWERING_REDUCTIONS_H

#include "frontends/onnx/lowering/Arrays.h"

namespace quern::onnx {

/// Where along `axis` the largest (or smallest) element is, the first or the last of equal ones;
/// NaN is larger and smaller than all. int64, without the axis.
Array place_of_extreme(Arrays &arrays, const Array &x, size_t axis, bool largest, bool last);

/// log(sum(exp(x))) over axes, without overflow.
Array log_sum_exp(Arrays &arrays, const Array &x, const std::vector<size_t> &axes, bool keep);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_REDUCTIONS_H

// Activation functions of elements, for the ops that have one inside.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_ACTIVATIONS_H
#define QUERN_FRONTENDS_ONNX_LOWERING_ACTIVATIONS_H

#include "frontends/onnx/lowering/Scalar.h"

namespace quern::onnx {

Scalar gelu_erf(const Scalar &x);
Scalar gelu_tanh(const Scalar &x);
/// x * sigmoid(alpha * x).
Scalar swish(const Scalar &x, double alpha);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_ACTIVATIONS_H

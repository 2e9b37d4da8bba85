// Normalizations, for the ops that have one inside.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_NORMS_H
#define QUERN_FRONTENDS_ONNX_LOWERING_NORMS_H

#include "frontends/onnx/lowering/Arrays.h"

#include <optional>

namespace quern::onnx {

struct Normed {
  Array y, mean, inverse; ///< mean and 1/deviation in the type that was computed in, axes of size 1
};

/// (x - mean) / sqrt(variance + epsilon) over `axes`, in x's type.
Normed normalized(Arrays &arrays, const Array &x, const std::vector<size_t> &axes, double epsilon);

/// LayerNormalization over the axes from `axis` on: computed in float32 (float64 of such), and
/// brought to the scale's type before it is scaled.
Normed layer_norm(Arrays &arrays, const Array &x, const Array &scale,
                  const std::optional<Array> &bias, size_t axis, double epsilon);

/// x / sqrt(mean(x^2) + epsilon) * scale, likewise.
Normed rms_norm(Arrays &arrays, const Array &x, const Array &scale, size_t axis, double epsilon);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_NORMS_H

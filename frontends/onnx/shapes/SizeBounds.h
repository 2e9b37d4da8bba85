// The greatest sizes that a model is compiled for.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_SIZEBOUNDS_H
#define QUERN_FRONTENDS_ONNX_SHAPES_SIZEBOUNDS_H

#include "frontends/Problem.h"
#include "frontends/onnx/shapes/Inference.h"
#include "ir/symbols/Bounds.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace quern::onnx {

/// Where a bound comes from.
enum class BoundOrigin : uint8_t {
  Given,   ///< --dim NAME=MAX
  Model,   ///< the model's limit: a table of positions that ends there
  Default, ///< kDefaultBatch of an input's first dimension, kDefaultSize of others
  Counted, ///< what the model counts is at most that
};

struct SizeBound {
  std::string symbol;
  int64_t most = 0;
  int64_t limit = INT64_MAX; ///< of the model's own, whatever is asked for
  BoundOrigin origin = BoundOrigin::Default;
  /// Of a size that the model counts, not its caller chooses: the most that it can be, over those.
  std::optional<Dim> counted{};
};

inline constexpr int64_t kDefaultBatch = 16, kDefaultSize = 512;
/// A limit beyond this is no table of positions.
inline constexpr int64_t kLargestTable = 1 << 17;

/// A bound for each symbol of the model's inputs that is not bound to others, in the order in which
/// they come up, then for each size that the model counts. `given` are those of --dim; one that
/// names no such symbol, or that is more than the model's own bound, is a problem.
std::vector<SizeBound> size_bounds(const Model &model, const Inference &inference,
                                   const std::map<std::string, int64_t> &given, Problems &problems);

symbols::Maxima maxima(const std::vector<SizeBound> &bounds);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_SIZEBOUNDS_H

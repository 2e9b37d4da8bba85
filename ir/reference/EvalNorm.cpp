// Normalizations.
#include "ir/reference/Frame.h"

#include <cmath>
#include <limits>

namespace quern::reference {
namespace {

/// Element `col` of a norm's weight or bias, `otherwise` if there is none. A vector of one group's
/// size serves every group.
double element(const WeightCache::Block &vector, int64_t col, double otherwise) {
  return vector ? static_cast<double>((*vector)[static_cast<size_t>(col) % vector->size()])
                : otherwise;
}

template <class S> absl::Status eval_norm(Frame<S> &frame, NormOpInterface op) {
  Rows<S> y = frame.rows(op.getInput());
  WeightCache::Block weight, bias;
  for (auto [value, block] : {std::pair(op.getWeight(), &weight), std::pair(op.getBias(), &bias)}) {
    if (!value)
      continue;
    auto elements = frame.elements(value);
    if (!elements.ok())
      return elements.status();
    *block = *elements;
  }
  const int64_t group = op.groupSize();
  const double eps = op.getEps().convertToFloat();
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t begin = 0; begin < y.cols; begin += group) {
      S *x = y[t] + begin;
      double mean = 0, squares = 0;
      if (op.isCentered())
        for (int64_t i = 0; i < group; ++i)
          mean += static_cast<double>(x[i]) / static_cast<double>(group);
      for (int64_t i = 0; i < group; ++i)
        squares += (static_cast<double>(x[i]) - mean) * (static_cast<double>(x[i]) - mean);
      if (std::isfinite(squares) && squares > std::numeric_limits<float>::max())
        frame.note_overflow(op, t, y.rows);
      const double squared = squares / static_cast<double>(group);
      const double inverse =
          op.addsEpsToRoot() ? 1 / (std::sqrt(squared) + eps) : 1 / std::sqrt(squared + eps);
      for (int64_t i = 0; i < group; ++i)
        x[i] = static_cast<S>((static_cast<double>(x[i]) - mean) * inverse *
                                  element(weight, begin + i, 1) +
                              element(bias, begin + i, 0));
    }
  frame.set_rows(op->getResult(0), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_rms_norm(Frame<S> &frame, RmsNormOp op) {
  return eval_norm<S>(frame, op);
}
template <class S> absl::Status eval_layer_norm(Frame<S> &frame, LayerNormOp op) {
  return eval_norm<S>(frame, op);
}

} // namespace

template <class S> void add_norm_evals(EvalTable<S> &table) {
  table.template add<RmsNormOp, eval_rms_norm<S>>();
  table.template add<LayerNormOp, eval_layer_norm<S>>();
}
QUERN_INSTANTIATE_EVALS(add_norm_evals)

} // namespace quern::reference

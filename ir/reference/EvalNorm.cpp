// Normalizations.
#include "ir/reference/Frame.h"

#include <cmath>

namespace quern::reference {
namespace {

template <class S> absl::Status eval_rms_norm(Frame<S> &frame, RmsNormOp op) {
  Rows<S> y = frame.rows(op.getInput());
  WeightCache::Block weight;
  if (op.getWeight()) {
    auto elements = frame.elements(op.getWeight());
    if (!elements.ok())
      return elements.status();
    weight = *elements;
  }
  const int64_t group = op.groupSize();
  const double eps = op.getEps().convertToFloat();
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t begin = 0; begin < y.cols; begin += group) {
      S *x = y[t] + begin;
      double squares = 0;
      for (int64_t i = 0; i < group; ++i)
        squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      const double inverse = 1 / std::sqrt(squares / static_cast<double>(group) + eps);
      for (int64_t i = 0; i < group; ++i) {
        // A weight of one group's size serves every group.
        const double w =
            weight ? static_cast<double>((*weight)[static_cast<size_t>(begin + i) % weight->size()])
                   : 1.0;
        x[i] = static_cast<S>(static_cast<double>(x[i]) * inverse * w);
      }
    }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_norm_evals(EvalTable<S> &table) {
  table.template add<RmsNormOp, eval_rms_norm<S>>();
}
QUERN_INSTANTIATE_EVALS(add_norm_evals)

} // namespace quern::reference

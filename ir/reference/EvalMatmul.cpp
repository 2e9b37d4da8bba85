// Matrix products with weights, and the quantization of their inputs.
#include "ir/reference/Frame.h"
#include "ir/reference/Int8.h"
#include "ir/reference/Parallel.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace quern::reference {
namespace {

/// Sixteen sums, added up pairwise at the end: a fixed order that vectorizes.
template <class S> S dot(const S *x, const float *w, int64_t n) {
  constexpr int64_t kLanes = 16;
  S sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += x[i + lane] * static_cast<S>(w[i + lane]);
  for (int64_t lane = 0; i + lane < n; ++lane)
    sums[lane] += x[i + lane] * static_cast<S>(w[i + lane]);
  for (int64_t width = kLanes / 2; width > 0; width /= 2)
    for (int64_t lane = 0; lane < width; ++lane)
      sums[lane] += sums[lane + width];
  return sums[0];
}

template <class S> absl::Status eval_linear(Frame<S> &frame, LinearOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const WeightPtr &weight = frame.weight(op.getWeight());
  WeightCache::Block bias;
  if (op.getBias()) {
    auto elements = frame.elements(op.getBias());
    if (!elements.ok())
      return elements.status();
    bias = *elements;
  }
  Rows<S> y(x.rows, weight->rows());
  const int64_t step = WeightCache::block_rows(*weight);
  const int64_t blocks = (y.cols + step - 1) / step;
  // Threads cost some ten microseconds to start.
  const bool small = x.rows * y.cols * x.cols < 1 << 20;
  absl::Status status = parallel(blocks, small ? 1 : frame.step.threads, [&](int64_t index) {
    auto block = frame.step.weights.cache.block(weight, index);
    if (!block.ok())
      return block.status();
    const float *w = (*block)->data();
    for (int64_t n = index * step; n < std::min(y.cols, (index + 1) * step); ++n, w += x.cols)
      for (int64_t t = 0; t < x.rows; ++t)
        y[t][n] =
            dot(x[t], w, x.cols) + (bias ? static_cast<S>((*bias)[static_cast<size_t>(n)]) : S(0));
    return absl::OkStatus();
  });
  if (status.ok())
    frame.set_rows(op.getResult(), std::move(y));
  return status;
}

template <class S> absl::Status eval_block_linear(Frame<S> &frame, BlockLinearOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const WeightPtr &weight = frame.weight(op.getWeight());
  WeightCache::Block bias;
  if (op.getBias()) {
    auto elements = frame.elements(op.getBias());
    if (!elements.ok())
      return elements.status();
    bias = *elements;
  }
  Rows<S> y(x.rows, weight->rows());
  const int64_t outputs = weight->shape()[1], inputs = weight->cols();
  const int64_t step = WeightCache::block_rows(*weight);
  for (int64_t first = 0; first < y.cols; first += step) {
    auto block = frame.step.weights.cache.block(weight, first / step);
    if (!block.ok())
      return block.status();
    const float *w = (*block)->data();
    for (int64_t n = first; n < std::min(y.cols, first + step); ++n, w += inputs)
      for (int64_t t = 0; t < x.rows; ++t)
        y[t][n] = dot(x[t] + n / outputs * inputs, w, inputs) +
                  (bias ? static_cast<S>((*bias)[static_cast<size_t>(n)]) : S(0));
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_quantize_rows(Frame<S> &frame, QuantizeRowsOp op) {
  constexpr int64_t kPair = 32;
  Rows<S> y = frame.rows(op.getInput());
  if (frame.step.exact_formats) {
    frame.set_rows(op.getResult(), std::move(y));
    return absl::OkStatus();
  }
  const int64_t width = y.cols / op.getType().getBlocks();
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t block = 0; block < y.cols; block += width)
      for (int64_t begin = 0; begin < width; begin += kPair)
        round_pair_to_int8(y[t] + block + begin, std::min(kPair, width - begin));
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_embedding(Frame<S> &frame, EmbeddingOp op) {
  const Indices &ids = frame.indices(op.getIds());
  const WeightPtr &weight = frame.weight(op.getWeight());
  Rows<S> y(static_cast<int64_t>(ids.size()), weight->cols());
  std::vector<float> row(static_cast<size_t>(weight->cols()));
  for (int64_t t = 0; t < y.rows; ++t) {
    const int32_t id = ids[static_cast<size_t>(t)];
    if (id < 0 || id >= weight->rows())
      return absl::InvalidArgumentError(
          absl::StrCat("token ", t, " is ", id, ", outside [0, ", weight->rows(), ")"));
    if (absl::Status status = weight->read(id, 1, row.data()); !status.ok())
      return status;
    std::copy(row.begin(), row.end(), y[t]);
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_matmul_evals(EvalTable<S> &table) {
  table.template add<LinearOp, eval_linear<S>>();
  table.template add<BlockLinearOp, eval_block_linear<S>>();
  table.template add<QuantizeRowsOp, eval_quantize_rows<S>>();
  table.template add<EmbeddingOp, eval_embedding<S>>();
}
QUERN_INSTANTIATE_EVALS(add_matmul_evals)

} // namespace quern::reference

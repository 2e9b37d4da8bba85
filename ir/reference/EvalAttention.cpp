// Attention over kv state, and rotary positions.
#include "ir/reference/Frame.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace quern::reference {
namespace {

template <class S> absl::Status eval_positions(Frame<S> &frame, PositionsOp op) {
  auto ids = std::make_shared<Indices>();
  for (int64_t position : frame.step.batch.positions)
    ids->push_back(static_cast<int32_t>(position + static_cast<int64_t>(op.getOffset())));
  frame.set(op.getResult(), std::shared_ptr<const Indices>(std::move(ids)));
  return absl::OkStatus();
}

template <class S> absl::Status eval_starts(Frame<S> &frame, StartsOp op) {
  const std::vector<int64_t> &positions = frame.step.batch.positions;
  Rows<S> y(static_cast<int64_t>(positions.size()), 1);
  for (int64_t t = 0; t < y.rows; ++t)
    y[t][0] = positions[static_cast<size_t>(t)] == 0 ? 1 : 0;
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_rope_table(Frame<S> &frame, RopeTableOp op) {
  const std::vector<int64_t> &positions = frame.step.batch.positions;
  llvm::ArrayRef<float> frequencies = op.getInvFreq();
  const auto n = static_cast<int64_t>(frequencies.size());
  const double scale = op.getScale().convertToFloat();
  Rows<S> table(static_cast<int64_t>(positions.size()), 2 * n);
  for (int64_t t = 0; t < table.rows; ++t)
    for (int64_t i = 0; i < n; ++i) {
      // The angle is a float32 product in either precision: the op says so.
      const float angle = static_cast<float>(positions[static_cast<size_t>(t)]) *
                          frequencies[static_cast<size_t>(i)];
      table[t][i] = static_cast<S>(scale * std::cos(static_cast<double>(angle)));
      table[t][n + i] = static_cast<S>(scale * std::sin(static_cast<double>(angle)));
    }
  frame.set_rows(op.getResult(), std::move(table));
  return absl::OkStatus();
}

template <class S> absl::Status eval_rope(Frame<S> &frame, RopeOp op) {
  Rows<S> y = frame.rows(op.getInput());
  const Rows<S> &table = frame.rows(op.getTable());
  const auto head_dim = static_cast<int64_t>(op.getHeadDim());
  const int64_t n = table.cols / 2;
  for (int64_t t = 0; t < y.rows; ++t)
    for (S *head = y[t]; head != y[t] + y.cols; head += head_dim)
      for (int64_t i = 0; i < n; ++i) {
        S &first = head[op.getInterleaved() ? 2 * i : i];
        S &second = head[op.getInterleaved() ? 2 * i + 1 : i + n];
        const S a = first, b = second, cos = table[t][i], sin = table[t][n + i];
        first = a * cos - b * sin;
        second = a * sin + b * cos;
      }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

/// The nearest bfloat16, ties to even; x is finite.
double round_to_bf16(double x) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return std::bit_cast<float>(rounded & 0xffff0000);
}

/// What a score of head `h` gets for the key's distance from the query's position.
double alibi(AttentionOp op, int64_t h, int64_t key, int64_t position) {
  if (!op.getAlibi())
    return 0;
  const double slope = (*op.getAlibi())[static_cast<size_t>(h)];
  if (!op.getAlibiBf16())
    return slope * static_cast<double>(key - position);
  const double scale = op.getScale().convertToFloat();
  return scale * (round_to_bf16(slope * static_cast<double>(key)) -
                  round_to_bf16(slope * static_cast<double>(position)));
}

template <class S> absl::Status eval_attention(Frame<S> &frame, AttentionOp op) {
  const Rows<S> &query = frame.rows(op.getQuery());
  const PackedBatch &batch = frame.step.batch;
  WeightCache::Block sinks;
  if (op.getSinks()) {
    auto elements = frame.elements(op.getSinks());
    if (!elements.ok())
      return elements.status();
    sinks = *elements;
  }
  llvm::ArrayRef<int64_t> shape = op.getState().getType().getShape();
  const int64_t kv_heads = shape[0], key_dim = shape[1], value_dim = shape[2];
  const auto heads = static_cast<int64_t>(op.getHeads()),
             window = static_cast<int64_t>(op.getWindow());
  const double scale = op.getScale().convertToFloat(), softcap = op.getSoftcap().convertToFloat();
  // A position of the state is all its keys, then all its values, unless these are columns of the
  // keys.
  const bool shared = op.getState().getType().getShared();
  const int64_t width = kv_heads * (shared ? key_dim : key_dim + value_dim);
  Rows<S> y(query.rows, heads * value_dim);
  std::vector<double> weights, sums(static_cast<size_t>(value_dim));
  for (int64_t t = 0; t < query.rows; ++t) {
    const int64_t position = batch.positions[static_cast<size_t>(t)];
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    const double *state =
        frame.step.state.growing(slot, frame.state(op.getState()), width, position + 1).data();
    const int64_t first = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t g = h / (heads / kv_heads);
      const S *q = query[t] + h * key_dim;
      weights.clear();
      bool overflows = false;
      for (int64_t j = first; j <= position; ++j) {
        const double *key = state + j * width + g * key_dim;
        double score = 0;
        for (int64_t d = 0; d < key_dim; ++d)
          score += static_cast<double>(q[d]) * key[d];
        overflows |= std::isfinite(score) && std::abs(score) > std::numeric_limits<float>::max();
        score *= scale;
        if (softcap > 0)
          score = softcap * std::tanh(score / softcap);
        weights.push_back(score + alibi(op, h, j, position));
      }
      double largest = *std::max_element(weights.begin(), weights.end());
      // Generated code's running maximum begins at -1e30.
      if (overflows || (std::isfinite(largest) && largest < -1e30))
        frame.note_overflow(op, t, query.rows);
      double total = 0;
      if (sinks) {
        const double sink = (*sinks)[static_cast<size_t>(h)];
        largest = std::max(largest, sink);
        total = std::exp(sink - largest);
      }
      for (double &weight : weights)
        total += weight = std::exp(weight - largest);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t j = first; j <= position; ++j) {
        const double *value =
            state + j * width + (shared ? g * key_dim : kv_heads * key_dim + g * value_dim);
        const double weight = weights[static_cast<size_t>(j - first)] / total;
        for (int64_t d = 0; d < value_dim; ++d)
          sums[static_cast<size_t>(d)] += weight * value[d];
      }
      std::copy(sums.begin(), sums.end(), y[t] + h * value_dim);
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

/// The rows of a query's sequence, and which of its queries it is.
struct Among {
  int64_t sequence, position; ///< of the query
  int64_t first, length;      ///< of the keys
};

/// Which rows belong together: as the batch says, or as many to each of `sequences`.
template <class S>
absl::StatusOr<std::vector<Among>> together(Frame<S> &frame, AttentionRowsOp op, int64_t queries,
                                            int64_t keys) {
  std::vector<Among> rows;
  if (op.getSequences()) {
    const auto sequences = frame.step.sizes.of(*op.getSequences());
    if (!sequences.ok())
      return sequences.status();
    if (queries == 0 && keys == 0)
      return rows;
    if (*sequences <= 0 || queries % *sequences != 0 || keys % *sequences != 0)
      return absl::InvalidArgumentError(absl::StrCat(
          queries, " queries and ", keys, " keys are not of ", *sequences, " equal sequences"));
    const int64_t each = queries / *sequences, length = keys / *sequences;
    for (int64_t t = 0; t < queries; ++t)
      rows.push_back({t / each, t % each, t / each * length, length});
    return rows;
  }
  const PackedBatch &batch = frame.step.batch;
  for (int64_t t = 0; t < queries; ++t) {
    const auto seq = static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)]);
    const int64_t start = batch.cu_seqlens[seq];
    if (batch.positions[static_cast<size_t>(t)] != t - start)
      return absl::InvalidArgumentError(
          "attention among rows sees none but the step's: a sequence begins at position 0");
    rows.push_back(
        {static_cast<int64_t>(seq), t - start, start, batch.cu_seqlens[seq + 1] - start});
  }
  return rows;
}

/// mask[sequence, head, position, key], of which a dimension of one element stands for all.
double masked(const Tensor &mask, int64_t sequence, int64_t head, int64_t position, int64_t key) {
  int64_t at = 0;
  for (auto [size, index] : llvm::zip_equal(mask.shape, std::array{sequence, head, position, key}))
    at = at * size + (size == 1 ? 0 : index);
  return mask.floats[static_cast<size_t>(at)];
}

/// False where a mask of keys alone hides all that bounds let a query see, but not by -infinity.
bool shows(AttentionRowsOp op, const Tensor *mask, int64_t sequence, int64_t from, int64_t to) {
  if (mask == nullptr || mask->shape[1] != 1 || mask->shape[2] != 1 || mask->shape[3] == 1 ||
      (op.getLeft() == 0 && op.getRight() == 0 && !op.getCausal()))
    return true;
  double most = -std::numeric_limits<double>::infinity();
  for (int64_t j = from; j <= to; ++j)
    most = std::max(most, masked(*mask, sequence, 0, 0, j));
  return most > -1e28 || std::isinf(most);
}

template <class S> absl::Status eval_attention_rows(Frame<S> &frame, AttentionRowsOp op) {
  const Rows<S> &query = frame.rows(op.getQuery()), &keys = frame.rows(op.getKey()),
                &values = frame.rows(op.getValue());
  WeightCache::Block bias;
  if (op.getBias()) {
    auto elements = frame.elements(op.getBias());
    if (!elements.ok())
      return elements.status();
    bias = *elements;
  }
  const auto rows = together(frame, op, query.rows, keys.rows);
  if (!rows.ok())
    return rows.status();
  const TensorPtr mask = op.getMask() ? frame.tensor(op.getMask()) : nullptr;
  const int64_t key_dim = op.keyDim(), value_dim = op.valueDim();
  const auto heads = static_cast<int64_t>(op.getHeads()),
             kv_heads = static_cast<int64_t>(op.getKvHeads()),
             left = static_cast<int64_t>(op.getLeft()), right = static_cast<int64_t>(op.getRight());
  const double scale = op.getScale().convertToFloat(), softcap = op.getSoftcap().convertToFloat();
  const int64_t farthest = op.getBuckets() ? static_cast<int64_t>(op.getBuckets()->size()) / 2 : 0;
  Rows<S> y(query.rows, heads * value_dim);
  std::vector<double> weights, sums(static_cast<size_t>(value_dim));
  for (int64_t t = 0; t < query.rows; ++t) {
    const auto [sequence, position, start, length] = (*rows)[static_cast<size_t>(t)];
    const int64_t from = left > 0 ? std::max<int64_t>(0, position - left) : 0;
    const int64_t to = op.getCausal() ? std::min(length - 1, position)
                       : right > 0    ? std::min(length - 1, position + right)
                                      : length - 1;
    const bool shown = shows(op, mask.get(), sequence, from, to);
    const int64_t first = shown ? from : 0, last = shown ? to : length - 1;
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t g = h / (heads / kv_heads);
      const S *q = query[t] + h * key_dim;
      weights.clear();
      bool overflows = false;
      for (int64_t j = first; j <= last; ++j) {
        const S *key = keys[start + j] + g * key_dim;
        double score = 0;
        for (int64_t d = 0; d < key_dim; ++d)
          score += static_cast<double>(q[d]) * static_cast<double>(key[d]);
        overflows |= std::isfinite(score) && std::abs(score) > std::numeric_limits<float>::max();
        score *= scale;
        if (softcap > 0)
          score = softcap * std::tanh(score / softcap);
        if (bias) {
          const int64_t at = std::clamp(j - position, -farthest, farthest) + farthest;
          const int64_t bucket = (*op.getBuckets())[static_cast<size_t>(at)];
          score += (*bias)[static_cast<size_t>(bucket * heads + h)];
        }
        // Rounded as scores are in the program that the mask is of: beside a number as large as
        // masks have, a score is nothing.
        if (mask) {
          double added = masked(*mask, sequence, h, position, j);
          if (j < from || j > to)
            added = std::min<double>(added, std::numeric_limits<float>::lowest());
          score = static_cast<float>(score + added);
        }
        weights.push_back(score);
      }
      const double largest = weights.empty() ? -std::numeric_limits<double>::infinity()
                                             : *std::max_element(weights.begin(), weights.end());
      if (!mask && (overflows || (std::isfinite(largest) && largest < -1e30)))
        frame.note_overflow(op, t, query.rows);
      std::fill(sums.begin(), sums.end(), 0.0);
      if (!(op.getNanIsZero() && std::isinf(largest) && largest < 0)) {
        double total = 0;
        for (double &weight : weights)
          total += weight = std::exp(weight - largest);
        for (int64_t j = first; j <= last; ++j) {
          const S *value = values[start + j] + g * value_dim;
          const double weight = weights[static_cast<size_t>(j - first)] / total;
          for (int64_t d = 0; d < value_dim; ++d)
            sums[static_cast<size_t>(d)] += weight * static_cast<double>(value[d]);
        }
      }
      std::copy(sums.begin(), sums.end(), y[t] + h * value_dim);
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_attention_evals(EvalTable<S> &table) {
  table.template add<PositionsOp, eval_positions<S>>();
  table.template add<StartsOp, eval_starts<S>>();
  table.template add<RopeTableOp, eval_rope_table<S>>();
  table.template add<RopeOp, eval_rope<S>>();
  table.template add<AttentionOp, eval_attention<S>>();
  table.template add<AttentionRowsOp, eval_attention_rows<S>>();
}
QUERN_INSTANTIATE_EVALS(add_attention_evals)

} // namespace quern::reference

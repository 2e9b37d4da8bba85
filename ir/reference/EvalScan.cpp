// Recurrences over a sequence.
#include "ir/reference/Frame.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <utility>
#include <vector>

namespace quern::reference {
namespace {

/// A token of a head of a linear recurrence, in double: what its operands hold for that head.
struct HeadToken {
  const double *decay; ///< [K][V]
  const double *a, *b; ///< [K]; null without a correction
  const double *beta;  ///< [P]; null without a delta
  const double *bonus; ///< [K]; null without one
  const double *r;     ///< [Q][K]
  const double *k;     ///< [P][K]
  const double *v;     ///< [P][V]
  double *out;         ///< [Q][V]
};

/// S' = D * S and so on, as the op's description says; the state is rounded to S once a token.
template <class S>
void step_head(const HeadToken &token, std::vector<double> &scratch, double *state, int64_t keys,
               int64_t values, int64_t products, int64_t reads) {
  scratch.resize(static_cast<size_t>(keys));
  double *column = scratch.data();
  for (int64_t j = 0; j < values; ++j) {
    double corrected = 0; // a^T S, column j
    double before = 0;    // with a bonus: S^T r of the state before the token
    for (int64_t i = 0; i < keys; ++i) {
      column[i] = state[i * values + j];
      if (token.a)
        corrected += token.a[i] * column[i];
      if (token.bonus)
        before += (column[i] + token.bonus[i] * token.k[i] * token.v[j]) * token.r[i];
    }
    for (int64_t i = 0; i < keys; ++i) {
      column[i] *= token.decay[i * values + j];
      if (token.b)
        column[i] += token.b[i] * corrected;
    }
    for (int64_t p = 0; p < products; ++p) {
      const double *k = token.k + p * keys;
      double v = token.v[p * values + j];
      if (token.beta) {
        double known = 0;
        for (int64_t i = 0; i < keys; ++i)
          known += k[i] * column[i];
        v = token.beta[p] * (v - known);
      }
      for (int64_t i = 0; i < keys; ++i)
        column[i] += k[i] * v;
    }
    for (int64_t i = 0; i < keys; ++i)
      state[i * values + j] = column[i] = static_cast<double>(static_cast<S>(column[i]));
    for (int64_t q = 0; q < reads; ++q) {
      double out = before;
      for (int64_t i = 0; i < keys && !token.bonus; ++i)
        out += column[i] * token.r[q * keys + i];
      token.out[q * values + j] = out;
    }
  }
}

template <class S> absl::Status eval_linear_recurrence(Frame<S> &frame, LinearRecurrenceOp op) {
  const int64_t heads = op.heads(), keys = op.keyDim(), values = op.valueDim();
  const int64_t products = op.products(), reads = op.reads();
  const auto groups = static_cast<int64_t>(op.getGroups());
  WeightCache::Block rate, bonus;
  for (auto [weight, block] : {std::pair(op.getRate(), &rate), std::pair(op.getBonus(), &bonus)})
    if (weight) {
      auto elements = frame.elements(weight);
      if (!elements.ok())
        return elements.status();
      *block = *elements;
    }

  // Blocks [P or Q, heads of the rows, columns] of a token, for one head of the state.
  std::vector<double> r, k, v, decay, a, b, beta, u, scratch;
  auto take = [&](mlir::Value rows, int64_t t, int64_t blocks, int64_t columns, int64_t of_rows,
                  int64_t head, std::vector<double> &into) {
    into.clear();
    if (!rows)
      return;
    const Rows<S> &from = frame.rows(rows);
    for (int64_t p = 0; p < blocks; ++p)
      for (int64_t i = 0; i < columns; ++i)
        into.push_back(
            static_cast<double>(from[t][(p * of_rows + head / (heads / of_rows)) * columns + i]));
  };
  auto heads_of = [&](mlir::Value rows, int64_t columns) {
    return rows ? colsOf(rows.getType()) / columns : heads;
  };

  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(frame.rows(op.getV()).rows, reads * heads * values);
  std::vector<double> out(static_cast<size_t>(reads * values)),
      whole(static_cast<size_t>(keys * values));
  for (int64_t t = 0; t < y.rows; ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &states =
        frame.step.state.fixed(slot, frame.state(op.getState()), heads * keys * values);
    for (int64_t h = 0; h < heads; ++h) {
      take(op.getR(), t, reads, keys, groups, h, r);
      take(op.getK(), t, products, keys, groups, h, k);
      take(op.getV(), t, products, values, heads, h, v);
      take(op.getBeta(), t, products, 1, heads, h, beta);
      take(op.getA(), t, 1, keys, heads_of(op.getA(), keys), h, a);
      take(op.getB(), t, 1, keys, heads_of(op.getB(), keys), h, b);
      take(op.getDecay(), t, 1, op.decayColumns(), heads_of(op.getDecay(), op.decayColumns()), h,
           decay);
      for (int64_t i = 0; i < keys; ++i)
        for (int64_t j = 0; j < values; ++j) {
          const DecayKind kind = op.getDecayKind();
          const int64_t at = kind == DecayKind::head    ? 0
                             : kind == DecayKind::key   ? i
                             : kind == DecayKind::value ? j
                                                        : i * values + j;
          double d = decay[static_cast<size_t>(at)];
          if (rate)
            d = std::exp(
                d * static_cast<double>((*rate)[static_cast<size_t>((h * keys + i) * values + j)]));
          whole[static_cast<size_t>(i * values + j)] = d;
        }
      u.clear();
      for (int64_t i = 0; bonus && i < keys; ++i)
        u.push_back(static_cast<double>((*bonus)[static_cast<size_t>(h * keys + i)]));
      const HeadToken token = {.decay = whole.data(),
                               .a = op.getA() ? a.data() : nullptr,
                               .b = op.getB() ? b.data() : nullptr,
                               .beta = op.getBeta() ? beta.data() : nullptr,
                               .bonus = bonus ? u.data() : nullptr,
                               .r = r.data(),
                               .k = k.data(),
                               .v = v.data(),
                               .out = out.data()};
      step_head<S>(token, scratch, states.data() + h * keys * values, keys, values, products,
                   reads);
      for (int64_t q = 0; q < reads; ++q)
        for (int64_t j = 0; j < values; ++j)
          y[t][(q * heads + h) * values + j] =
              static_cast<S>(out[static_cast<size_t>(q * values + j)]);
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_causal_conv1d(Frame<S> &frame, CausalConv1dOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const auto weight = frame.elements(op.getWeight());
  if (!weight.ok())
    return weight.status();
  WeightCache::Block bias;
  if (op.getBias()) {
    auto elements = frame.elements(op.getBias());
    if (!elements.ok())
      return elements.status();
    bias = *elements;
  }
  const int64_t kept = op.getState().getType().getShape()[1], length = kept + 1;
  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(x.rows, x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &windows =
        frame.step.state.fixed(slot, frame.state(op.getState()), x.cols * kept);
    for (int64_t c = 0; c < x.cols; ++c) {
      double *window = windows.data() + c * kept;
      const float *w = (*weight)->data() + c * length;
      double sum = bias ? static_cast<double>((*bias)[static_cast<size_t>(c)]) : 0.0;
      for (int64_t i = 0; i < kept; ++i)
        sum += static_cast<double>(w[i]) * window[i];
      sum += static_cast<double>(w[kept]) * static_cast<double>(x[t][c]);
      y[t][c] = static_cast<S>(sum);
      std::copy(window + 1, window + kept, window);
      window[kept - 1] = static_cast<double>(x[t][c]);
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_token_shift(Frame<S> &frame, TokenShiftOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(x.rows, x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &window = frame.step.state.fixed(slot, frame.state(op.getState()), x.cols);
    for (int64_t c = 0; c < x.cols; ++c)
      y[t][c] = static_cast<S>(
          std::exchange(window[static_cast<size_t>(c)], static_cast<double>(x[t][c])));
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_long_conv(Frame<S> &frame, LongConvOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  WeightCache::Block poles, residues, skip;
  for (auto [weight, block] :
       {std::pair<mlir::Value, WeightCache::Block *>(op.getPoles(), &poles),
        std::pair<mlir::Value, WeightCache::Block *>(op.getResidues(), &residues),
        std::pair<mlir::Value, WeightCache::Block *>(op.getSkip(), &skip)})
    if (weight) {
      auto elements = frame.elements(weight);
      if (!elements.ok())
        return elements.status();
      *block = *elements;
    }
  const int64_t modes = op.modes(), share = op.channelsThatShare(), filters = x.cols / share;
  // Number n of channel c, in weights of `cols` channels.
  const auto complex_of = [](const WeightCache::Block &block, int64_t n, int64_t c, int64_t cols) {
    const auto at = static_cast<size_t>(2 * n * cols + c);
    return std::complex<double>((*block)[at], (*block)[at + static_cast<size_t>(cols)]);
  };
  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(x.rows, x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &states =
        frame.step.state.fixed(slot, frame.state(op.getState()), 2 * modes * x.cols);
    for (int64_t c = 0; c < x.cols; ++c) {
      const auto in = static_cast<double>(x[t][c]);
      double sum = skip ? static_cast<double>((*skip)[static_cast<size_t>(c)]) * in : 0.0;
      for (int64_t n = 0; n < modes; ++n) {
        double &real = states[static_cast<size_t>(2 * n * x.cols + c)];
        double &imaginary = states[static_cast<size_t>((2 * n + 1) * x.cols + c)];
        const auto s =
            complex_of(poles, n, c / share, filters) * std::complex(real, imaginary) + in;
        real = static_cast<double>(static_cast<S>(s.real()));
        imaginary = static_cast<double>(static_cast<S>(s.imag()));
        sum += (complex_of(residues, n, c / share, filters) * std::complex(real, imaginary)).real();
      }
      y[t][c] = static_cast<S>(sum);
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_scan(Frame<S> &frame, ScanOp op) {
  const PackedBatch &batch = frame.step.batch;
  const int64_t states = op.states(), cols = op.columns();
  std::vector<Rows<S>> results(op.getNumResults(), Rows<S>(batch.num_tokens(), cols));
  const auto row_of = [](const S *numbers, int64_t count) {
    Rows<S> row(1, count);
    std::copy_n(numbers, count, row.data.begin());
    return std::make_shared<const Rows<S>>(std::move(row));
  };
  for (int64_t t = 0; t < batch.num_tokens(); ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &state =
        frame.step.state.fixed(slot, frame.state(op.getState()), states * cols);
    std::vector<Value<S>> arguments;
    for (int64_t s = 0; s < states; ++s) {
      Rows<S> row(1, cols);
      for (int64_t c = 0; c < cols; ++c)
        row.data[static_cast<size_t>(c)] = static_cast<S>(state[static_cast<size_t>(s * cols + c)]);
      arguments.emplace_back(std::make_shared<const Rows<S>>(std::move(row)));
    }
    for (mlir::Value input : op.getInputs())
      if (mlir::isa<WeightType>(input.getType()))
        arguments.push_back(frame.value_of(input));
      else
        arguments.emplace_back(row_of(frame.rows(input)[t], frame.rows(input).cols));
    auto yielded = frame.run(op.getBody(), std::move(arguments));
    if (!yielded.ok())
      return yielded.status();
    const auto row = [&](int64_t i) -> const Rows<S> & {
      return *std::get<std::shared_ptr<const Rows<S>>>((*yielded)[static_cast<size_t>(i)]);
    };
    for (int64_t s = 0; s < states; ++s)
      for (int64_t c = 0; c < cols; ++c)
        state[static_cast<size_t>(s * cols + c)] =
            static_cast<double>(row(s).data[static_cast<size_t>(c)]);
    for (size_t i = 0; i < results.size(); ++i)
      std::copy_n(row(states + static_cast<int64_t>(i)).data.begin(), cols, results[i][t]);
  }
  for (auto [result, rows] : llvm::zip_equal(op.getResults(), results))
    frame.set_rows(result, std::move(rows));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_scan_evals(EvalTable<S> &table) {
  table.template add<LinearRecurrenceOp, eval_linear_recurrence<S>>();
  table.template add<CausalConv1dOp, eval_causal_conv1d<S>>();
  table.template add<TokenShiftOp, eval_token_shift<S>>();
  table.template add<ScanOp, eval_scan<S>>();
  table.template add<LongConvOp, eval_long_conv<S>>();
}
QUERN_INSTANTIATE_EVALS(add_scan_evals)

} // namespace quern::reference

// The IR of Mamba-3 (Recipe.h).
#include "frontends/recipe/Writer.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace quern::recipe {

/// A weight [heads, rank, cols] as one row, of the first rank's heads, then of the next's.
Value Writer::by_rank(const Mamba3 &m, const std::string &tensor, int64_t cols) {
  Value stored = weight(m.module + tensor);
  const int64_t rows = m.heads * m.rank;
  Value flat = WeightReshapeOp::create(b_, loc_, weight_type(stored, {rows, cols}), stored);
  if (m.rank > 1) {
    llvm::SmallVector<Value> ranks;
    for (int64_t r = 0; r < m.rank; ++r)
      ranks.push_back(rows_of({.stored = rows, .offset = r, .block = 1, .stride = m.rank}, flat,
                              {m.heads, cols}));
    flat = WeightConcatOp::create(b_, loc_, weight_type(flat, {rows, cols}), ranks);
  }
  return WeightReshapeOp::create(b_, loc_, weight_type(flat, {rows * cols}), flat);
}

/// Cosines and sines [T, heads * angles] of the angles pi tanh(x) dt, summed up over a sequence.
/// The sums are kept as their cosines and sines, turned by each token's: these stay what they are
/// however long the sequence, where an angle's last digits would be lost. Their length is brought
/// back to 1 by a step of Newton's.
std::pair<Value, Value> Writer::turned(const Mamba3 &m, Value angles, Value dt) {
  Value steps = repeated(scale(unary(UnaryKind::tanh, angles), std::numbers::pi), 1, m.heads);
  steps = binary(BinaryKind::mul, steps, dt, m.angles);
  llvm::SmallVector<Value> inputs = {unary(UnaryKind::cos, steps), unary(UnaryKind::sin, steps),
                                     starts()};
  Type rows = steps.getType();
  const int64_t cols = m.heads * m.angles;
  Value total = state(m.module + ".angles", StateKind::recurrent, {2, 1, cols});
  auto scan = ScanOp::create(b_, loc_, {rows, rows}, inputs, batch_, total);
  {
    OpBuilder::InsertionGuard guard(b_);
    mlir::Block &body = scan.getBody().emplaceBlock();
    b_.setInsertionPointToStart(&body);
    Value before_cosine = body.addArgument(rows, loc_), before_sine = body.addArgument(rows, loc_);
    Value by_cosine = body.addArgument(rows, loc_), by_sine = body.addArgument(rows, loc_);
    Value first = body.addArgument(inputs[2].getType(), loc_);
    auto mul = [&](Value x, Value y) { return binary(BinaryKind::mul, x, y); };
    // A sequence begins at the angle 0, where states are 0 and the cosine is 1.
    before_cosine = binary(BinaryKind::add, before_cosine, first, cols);
    Value cosine =
        binary(BinaryKind::sub, mul(before_cosine, by_cosine), mul(before_sine, by_sine));
    Value sine = binary(BinaryKind::add, mul(before_sine, by_cosine), mul(before_cosine, by_sine));
    Value square = binary(BinaryKind::add, mul(cosine, cosine), mul(sine, sine));
    // (3 - square) / 2, written without a constant: x + x (1 - square) / 2.
    Value over = binary(BinaryKind::sub, square, mul(square, square));
    Value half = scale(over, 0.5);
    cosine = binary(BinaryKind::add, cosine, mul(cosine, half));
    sine = binary(BinaryKind::add, sine, mul(sine, half));
    YieldOp::create(b_, loc_, ValueRange{cosine, sine, cosine, sine});
  }
  return {scan.getResult(0), scan.getResult(1)};
}

/// B or C [T, rank * heads * state], rotated; a head's numbers come in another order.
Value Writer::rotated(const Mamba3 &m, Value x, Value cosine, Value sine) {
  const int64_t all = m.rank * m.heads, pairs = m.angles, apart = m.state / 2;
  llvm::SmallVector<Value> parts;
  Value first, second;
  if (m.adjacent) {
    Value turning = 2 * pairs == m.state ? x : slice(x, 0, 2 * pairs, all);
    first = slice(turning, 0, 1, all * pairs);
    second = slice(turning, 1, 1, all * pairs);
    if (m.state > 2 * pairs)
      parts.push_back(slice(x, 2 * pairs, m.state - 2 * pairs, all));
  } else {
    first = slice(x, 0, pairs, all);
    second = slice(x, apart, pairs, all);
    if (apart > pairs)
      for (const int64_t half : {int64_t{0}, apart})
        parts.push_back(slice(x, half + pairs, apart - pairs, all));
  }
  auto mul = [&](Value a, Value b) { return binary(BinaryKind::mul, a, b); };
  parts.push_back(binary(BinaryKind::sub, mul(first, cosine), mul(second, sine)));
  parts.push_back(binary(BinaryKind::add, mul(first, sine), mul(second, cosine)));
  return concat(parts, all);
}

Value Writer::operator()(const Mamba3 &m) {
  const int64_t inner = m.inner(), shared = m.rank * m.groups * m.state;
  Value projected = linear(m.in_proj, x_);
  at(m.module);
  int64_t offset = 0;
  auto part = [&](int64_t cols) {
    offset += cols;
    return slice(projected, offset - cols, cols);
  };
  Value z = part(inner), x = part(inner), b = part(shared), c = part(shared);
  Value dt = part(m.heads), rate = part(m.heads), share = part(m.heads), angles = part(m.angles);

  dt = unary(UnaryKind::softplus, binary(BinaryKind::add, dt, weight(m.module + ".dt_bias")));
  rate = unary(UnaryKind::softplus, rate);
  rate = binary(BinaryKind::max, rate, scale(ones(), m.decay_floor), m.heads);
  Value decay = unary(UnaryKind::exp, scale(binary(BinaryKind::mul, rate, dt), -1));
  Value newer = binary(BinaryKind::mul, unary(UnaryKind::sigmoid, share), dt);
  Value older = binary(BinaryKind::mul, unary(UnaryKind::sigmoid, scale(share, -1)), dt);
  older = binary(BinaryKind::mul, older, decay);

  auto [cosine, sine] = turned(m, angles, dt);
  cosine = repeated(cosine, 1, m.rank);
  sine = repeated(sine, 1, m.rank);
  auto keys = [&](const Norm &n, Value y, const char *bias) {
    y = norm(n, y);
    at(m.module);
    y = repeated(y, m.rank * m.groups, m.heads / m.groups);
    return rotated(m, binary(BinaryKind::add, y, by_rank(m, bias, m.state)), cosine, sine);
  };
  Value k = keys(m.b_norm, b, ".B_bias"), r = keys(m.c_norm, c, ".C_bias");
  Value v = repeated(x, 1, m.rank);
  if (m.ranked)
    v = binary(BinaryKind::mul, v, by_rank(m, ".mimo_x", m.head_dim));

  auto before = [&](const char *name, Value y) -> Value {
    Value window = state(m.module + name, StateKind::window, {colsOf(y.getType()), 1});
    return TokenShiftOp::create(b_, loc_, y.getType(), y, batch_, window);
  };
  auto weighted = [&](Value y, Value by) {
    return binary(BinaryKind::mul, y, repeated(by, 1, m.rank), m.head_dim);
  };
  Value past_k = before(".keys", k), past_v = before(".values", v);
  Value memory = state(m.module + ".ssm", StateKind::recurrent, {m.heads, m.state, m.head_dim});
  Value all = LinearRecurrenceOp::create(
      b_, loc_, v.getType(), r, concat({past_k, k}, 1),
      concat({weighted(past_v, older), weighted(v, newer)}, 1), decay, /*rate=*/Value(),
      /*beta=*/Value(), /*a=*/Value(), /*b=*/Value(), /*bonus=*/Value(), batch_, memory,
      b_.getI64IntegerAttr(m.heads), DecayKindAttr::get(b_.getContext(), DecayKind::head));

  auto of_rank = [&](const char *name, int64_t rank) -> Value {
    const int64_t rows = m.heads * m.rank;
    Value w = weight(m.module + name);
    w = WeightReshapeOp::create(b_, loc_, weight_type(w, {rows, m.head_dim}), w);
    w = rows_of({.stored = rows, .offset = rank, .block = 1, .stride = m.rank}, w,
                {m.heads, m.head_dim});
    return WeightReshapeOp::create(b_, loc_, weight_type(w, {inner}), w);
  };
  Value sum;
  for (int64_t rank = 0; rank < m.rank; ++rank) {
    Value y = slice(all, rank * inner, inner), own = slice(v, rank * inner, inner), gate = z;
    y = binary(BinaryKind::add, y,
               binary(BinaryKind::mul, own, weight(m.module + ".D"), m.head_dim));
    if (m.ranked)
      gate = binary(BinaryKind::mul, z, of_rank(".mimo_z", rank));
    if (m.norm) {
      y = norm(*m.norm, y);
      at(m.module);
    }
    y = gated("silu", gate, y);
    if (m.ranked)
      y = binary(BinaryKind::mul, y, of_rank(".mimo_o", rank));
    sum = sum ? binary(BinaryKind::add, sum, y) : y;
  }
  return linear(m.out_proj, sum);
}

} // namespace quern::recipe

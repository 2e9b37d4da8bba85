// The IR of xLSTM's matrix memory (Recipe.h).
#include "frontends/recipe/Writer.h"

#include <cmath>

using namespace mlir;

namespace quern::recipe {

Value Writer::capped(Value x, double cap) {
  return cap == 0 ? x : scale(unary(UnaryKind::tanh, scale(x, 1 / cap)), cap);
}

Value Writer::operator()(const Mlstm &m) {
  Value q = linear(m.q, x_), k = linear(m.k, x_), v = linear(m.v, x_);
  Value out_gate = linear(m.out_gate, x_);
  Value input = capped(linear(m.input_gate, x_), m.gate_cap);
  Value forget = capped(linear(m.forget_gate, x_), m.gate_cap);
  at(m.module);
  q = scale(q, 1 / std::sqrt(static_cast<double>(m.key_dim)));
  // What is kept and what is taken in, as multiples of the exponential of a running maximum.
  Value largest = state(m.module + ".max", StateKind::recurrent, {1, 1, m.heads});
  llvm::SmallVector<Value> inputs = {unary(UnaryKind::log_sigmoid, forget), input};
  RankedTensorType heads = rows_like(x_, m.heads);
  llvm::SmallVector<Type> results(3, heads);
  auto scan = ScanOp::create(b_, loc_, results, inputs, batch_, largest);
  {
    OpBuilder::InsertionGuard guard(b_);
    mlir::Block &body = scan.getBody().emplaceBlock();
    b_.setInsertionPointToStart(&body);
    Value before = body.addArgument(heads, loc_), keep = body.addArgument(heads, loc_),
          take = body.addArgument(heads, loc_);
    Value kept = binary(BinaryKind::add, before, keep);
    Value most = binary(BinaryKind::max, kept, take);
    YieldOp::create(b_, loc_,
                    ValueRange{most, binary(BinaryKind::sub, kept, most),
                               binary(BinaryKind::sub, take, most), most});
  }
  Value keep = unary(UnaryKind::exp, scan.getResult(0));
  Value take = unary(UnaryKind::exp, scan.getResult(1));
  Value memory =
      state(m.module + ".memory", StateKind::recurrent, {m.heads, m.key_dim, m.value_dim});
  Value total = state(m.module + ".total", StateKind::recurrent, {m.heads, m.key_dim, 1});
  Value y = linear_recurrence(
      {.r = q, .k = k, .v = binary(BinaryKind::mul, v, take, m.value_dim), .decay = keep}, memory,
      m.heads, DecayKind::head);
  Value sum = linear_recurrence({.r = q, .k = k, .v = take, .decay = keep}, total, m.heads,
                                DecayKind::head);
  Value least = unary(UnaryKind::exp, scale(scan.getResult(2), -1));
  Value share = binary(BinaryKind::max, unary(UnaryKind::abs, sum), least);
  share = binary(BinaryKind::add, share, scale(ones(), m.eps), m.heads);
  y = norm(m.norm, binary(BinaryKind::div, y, share, m.value_dim));
  at(m.module);
  return linear(m.out, gated("sigmoid", out_gate, y));
}

} // namespace quern::recipe

// What Writer.h says of mixtures of experts.
#include "frontends/recipe/Writer.h"

using namespace mlir;

namespace quern::recipe {

/// A weight that may be declared in parts, one of each of its first dimension.
Value Writer::all_parts(const std::string &name) {
  auto parts = parts_.find(name);
  if (parts == parts_.end())
    return weight(name);
  llvm::SmallVector<Value> refs;
  for (const std::string &part : parts->second)
    refs.push_back(weight(part));
  WeightType type = weights_[name];
  llvm::SmallVector<int64_t> rows(type.getShape().drop_front());
  rows.front() *= type.getShape().front();
  Value all = WeightConcatOp::create(b_, loc_, weight_type(refs.front(), rows), refs);
  return WeightReshapeOp::create(b_, loc_, type, all);
}

/// Of each expert, the rows (or elements of its bias) that are `l`'s; `shape` has all experts.
Value Writer::expert_rows(const ExpertLinear &l, Value w, llvm::ArrayRef<int64_t> shape) {
  if (!l.rows.stored)
    return w;
  // Experts follow one another, so that blocks go on at the same distance from one to the next.
  llvm::SmallVector<int64_t> all(shape.drop_front()), chosen(shape.drop_front());
  all.front() = l.experts * l.rows.stored;
  chosen.front() = l.experts * l.out;
  w = WeightReshapeOp::create(b_, loc_, weight_type(w, all), w);
  w = WeightRowsOp::create(b_, loc_, weight_type(w, chosen), w, b_.getI64IntegerAttr(l.rows.offset),
                           b_.getI64IntegerAttr(l.rows.block), b_.getI64IntegerAttr(l.rows.stride));
  return WeightReshapeOp::create(b_, loc_, weight_type(w, shape), w);
}

Value Writer::experts(const ExpertLinear &l, Value x, Value ids) {
  at(l.weight);
  Value w = all_parts(l.weight);
  const int64_t rows = l.rows.stored ? l.rows.stored : l.out;
  const bool turn = l.transposed && !upright_.contains(l.weight);
  if (l.flat)
    w = WeightReshapeOp::create(
        b_, loc_, weight_type(w, {l.experts, turn ? l.in : rows, turn ? rows : l.in}), w);
  if (turn)
    w = WeightTransposeOp::create(b_, loc_, weight_type(w, {l.experts, rows, l.in}), w);
  w = expert_rows(l, w, {l.experts, l.out, l.in});
  Value bias;
  if (!l.bias.empty())
    bias = expert_rows(l, all_parts(l.bias), {l.experts, l.out});
  return ExpertLinearOp::create(b_, loc_, rows_like(x, colsOf(ids.getType()) * l.out), x, ids, w,
                                bias);
}

Value Writer::operator()(const Moe &m) {
  Value logits = linear(m.router, x_);
  at(m.module);
  Value correction;
  if (!m.correction.empty())
    correction = weight(m.correction);
  const RouteScore score = m.score == RouterScore::Sigmoid  ? RouteScore::sigmoid
                           : m.score == RouterScore::Chosen ? RouteScore::chosen
                                                            : RouteScore::softmax;
  auto route =
      RouteOp::create(b_, loc_, choicesType(b_.getContext(), rowsOf(x_.getType()), m.top_k),
                      rows_like(x_, m.top_k), RouteScoreAttr::get(b_.getContext(), score), logits,
                      correction, b_.getI64IntegerAttr(m.top_k), b_.getI64IntegerAttr(m.groups),
                      b_.getI64IntegerAttr(m.top_groups), b_.getI64IntegerAttr(m.group_top),
                      b_.getI64IntegerAttr(m.normalize), f32(m.eps), f32(m.scale));
  Value x = m.latent_in ? linear(*m.latent_in, x_) : x_;
  Value gate;
  if (!m.gate.weight.empty())
    gate = experts(m.gate, x, route.getIds());
  Value up = experts(m.up, x, route.getIds());
  at(m.module);
  const auto number = [&](double value, double none) {
    return value == none ? FloatAttr() : f32(value);
  };
  Value hidden =
      gate ? GatedActOp::create(b_, loc_, up.getType(), unary_kind(m.activation), gate, up,
                                number(m.limit, 0), number(m.alpha, 1), number(m.shift, 0))
                 .getResult()
           : unary(unary_kind(m.activation), up);
  Value y = experts(m.down, hidden, route.getIds());
  at(m.module);
  y = CombineOp::create(b_, loc_, rows_like(x_, m.down.out), y, route.getWeights());
  return m.latent_out ? linear(*m.latent_out, y) : y;
}

} // namespace quern::recipe

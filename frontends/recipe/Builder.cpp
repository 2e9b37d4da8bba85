#include "frontends/recipe/Builder.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "ir/quern/WeightRefs.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringSet.h"

#include <cassert>
#include <cmath>

using namespace mlir;

namespace quern::recipe {

namespace {

/// The kind that a recipe names; families take names from known_activations(), which the tests hold
/// to the dialect.
UnaryKind unary_kind(const std::string &activation) {
  if (std::optional<UnaryKind> kind = symbolizeUnaryKind(activation))
    return *kind;
  llvm::report_fatal_error("quern.unary has no function " + llvm::StringRef(activation));
}

/// Writes ops at one place. Every method takes the rows it works on and returns the rows it makes.
class Writer {
public:
  Writer(const Decoder &decoder, const Source &source, MLIRContext &context)
      : decoder_(decoder), source_(source), b_(&context) {}

  OwningOpRef<ModuleOp> write();

  // Blocks.
  Value operator()(const Attention &a);
  Value operator()(const Mamba2 &m);
  Value operator()(const GatedMlp &m);
  Value operator()(const Mlp &m);
  Value operator()(const Moe &m);

private:
  void declare_weights();
  Value logits(Value tokens, Value rows);

  // Names.
  void at(llvm::StringRef module) { loc_ = NameLoc::get(b_.getStringAttr(module)); }
  Value weight(const std::string &name);
  Value state(const std::string &name, StateKind kind, llvm::ArrayRef<int64_t> shape);

  // Ops.
  RankedTensorType rows_like(Value x, int64_t cols) {
    return rowsType(b_.getContext(), rowsOf(x.getType()), cols);
  }
  FloatAttr f32(double value) { return b_.getF32FloatAttr(static_cast<float>(value)); }
  WeightType weight_type(Value like, llvm::ArrayRef<int64_t> shape) {
    return WeightType::get(b_.getContext(), shape, cast<WeightType>(like.getType()).getFormat());
  }
  Value all_parts(const std::string &name);
  Value expert_rows(const ExpertLinear &l, Value w, llvm::ArrayRef<int64_t> shape);
  Value experts(const ExpertLinear &l, Value x, Value ids);
  Value rows_of(const Linear &l, Value stored, llvm::ArrayRef<int64_t> shape);
  Value norm_weight(const Norm &n);
  Value scale(Value x, double factor) {
    return factor == 1 ? x : ScaleOp::create(b_, loc_, x.getType(), x, f32(factor));
  }
  Value clip(Value x, double bound) {
    return bound == 0 ? x : ClampOp::create(b_, loc_, x.getType(), x, f32(-bound), f32(bound));
  }
  Value embedded(Value tokens);
  Value linear(const Linear &l, Value x);
  Value norm(const Norm &n, Value x);
  Value unary(UnaryKind fn, Value x) { return UnaryOp::create(b_, loc_, x.getType(), fn, x); }
  Value binary(BinaryKind fn, Value x, Value y, int64_t repeat = 1) {
    return BinaryOp::create(b_, loc_, x.getType(), fn, x, y, static_cast<uint64_t>(repeat));
  }
  Value gated(const std::string &fn, Value gate, Value up) {
    return GatedActOp::create(b_, loc_, up.getType(), unary_kind(fn), gate, up);
  }
  Value slice(Value x, int64_t offset, int64_t cols) {
    return SliceOp::create(b_, loc_, rows_like(x, cols), x, static_cast<uint64_t>(offset));
  }
  Value rope(const Attention &a, Value x);

  const Decoder &decoder_;
  const Source &source_;
  OpBuilder b_;
  OpBuilder declarations_{b_}; ///< at the end of the module's declarations
  Location loc_ = UnknownLoc::get(b_.getContext());
  llvm::StringMap<WeightType> weights_;
  llvm::StringMap<llvm::SmallVector<std::string>> parts_; ///< of weights declared in parts
  llvm::StringSet<> upright_; ///< weights of transposed linears that are [out, in] all the same
  llvm::SmallVector<Value> tables_; ///< of decoder_.ropes
  Value x_;                         ///< the block's input
  Value batch_;
};

void Writer::declare_weights() {
  std::vector<Tensor> list = tensors(decoder_);
  assert(list.size() == source_.places.size() && "a place for each tensor");
  for (auto [tensor, place] : llvm::zip_equal(list, source_.places)) {
    at(tensor.name);
    std::vector<int64_t> shape = tensor.shape;
    CodedAttr coded;
    if (place.coded)
      coded = codedAttr(b_.getContext(), *place.coded);
    const bool upright = tensor.transposed && (place.coded || place.upright);
    if (upright)
      std::swap(shape[shape.size() - 2], shape.back());
    auto type = WeightType::get(b_.getContext(), shape, b_.getStringAttr(place.format));
    IntegerAttr seed;
    FloatAttr mean, spread;
    // Tensors of codes are each declared for themselves.
    if (place.coded && !place.parts.empty()) {
      llvm::SmallVector<std::string> &names = parts_[tensor.name];
      auto part = WeightType::get(b_.getContext(), llvm::ArrayRef(shape).drop_front(),
                                  b_.getStringAttr(place.format));
      for (auto [name, at] : llvm::zip_equal(tensor.parts, place.parts)) {
        WeightOp::create(declarations_, loc_, name, part, at.file, at.offset, IntegerAttr(),
                         FloatAttr(), FloatAttr(), codedAttr(b_.getContext(), *at.coded),
                         DenseI64ArrayAttr());
        weights_[name] = part;
        names.push_back(name);
      }
      weights_[tensor.name] = type;
      continue;
    }
    DenseI64ArrayAttr places;
    if (!place.parts.empty()) {
      llvm::SmallVector<int64_t> pairs;
      for (const Place &part : place.parts)
        llvm::append_values(pairs, part.file, part.offset);
      places = b_.getDenseI64ArrayAttr(pairs);
    }
    if (place.file < 0) {
      seed = b_.getI64IntegerAttr(static_cast<int64_t>(source_.synthetic_seed.value_or(0)));
      mean = f32(tensor.init.mean);
      spread = f32(tensor.init.spread);
    }
    WeightOp::create(declarations_, loc_, tensor.name, type, place.file, place.offset, seed, mean,
                     spread, coded, places);
    weights_[tensor.name] = type;
    if (upright)
      upright_.insert(tensor.name);
  }
}

Value Writer::weight(const std::string &name) {
  auto it = weights_.find(name);
  assert(it != weights_.end() && "tensors() lists every tensor");
  return WeightRefOp::create(b_, loc_, it->second, FlatSymbolRefAttr::get(b_.getContext(), name));
}

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

Value Writer::state(const std::string &name, StateKind kind, llvm::ArrayRef<int64_t> shape) {
  auto type = StateType::get(b_.getContext(), kind, shape);
  DeclareStateOp::create(declarations_, loc_, name, type, IntegerAttr(), IntegerAttr());
  return StateRefOp::create(b_, loc_, type, FlatSymbolRefAttr::get(b_.getContext(), name));
}

/// The rows of a weight that is stored with others.
Value Writer::rows_of(const Linear &l, Value stored, llvm::ArrayRef<int64_t> shape) {
  if (!l.rows.stored)
    return stored;
  return WeightRowsOp::create(
      b_, loc_, weight_type(stored, shape), stored, b_.getI64IntegerAttr(l.rows.offset),
      b_.getI64IntegerAttr(l.rows.block), b_.getI64IntegerAttr(l.rows.stride));
}

Value Writer::linear(const Linear &l, Value x) {
  at(l.module);
  Value w = weight(l.module + ".weight");
  if (l.transposed && !upright_.contains(l.module + ".weight"))
    w = WeightTransposeOp::create(b_, loc_,
                                  weight_type(w, {l.rows.stored ? l.rows.stored : l.out, l.in}), w);
  w = rows_of(l, w, {l.out, l.in});
  Value bias;
  if (l.bias)
    bias =
        rows_of(l, weight((l.bias_module.empty() ? l.module : l.bias_module) + ".bias"), {l.out});
  return LinearOp::create(b_, loc_, rows_like(x, l.out), x, w, bias);
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

Value Writer::norm_weight(const Norm &n) {
  if (!n.weight)
    return {};
  Value w;
  if (n.apart) {
    llvm::SmallVector<Value> heads;
    for (int64_t h = 0; h < n.heads; ++h)
      heads.push_back(weight(n.module + ".norms." + std::to_string(h) + ".weight"));
    w = WeightConcatOp::create(b_, loc_, weight_type(heads.front(), {n.size}), heads);
  } else {
    w = weight(n.module + ".weight");
    if (n.heads)
      w = WeightReshapeOp::create(b_, loc_, weight_type(w, {n.size}), w);
  }
  if (n.add_one)
    w = WeightMapOp::create(b_, loc_,
                            WeightType::get(b_.getContext(), {n.size}, b_.getStringAttr("f32")), w,
                            b_.getStringAttr("add_one"));
  return w;
}

Value Writer::norm(const Norm &n, Value x) {
  if (n.kind == NormKind::None)
    return x;
  at(n.module);
  Value w = norm_weight(n);
  if (n.kind == NormKind::Rms)
    return RmsNormOp::create(b_, loc_, x.getType(), x, w, f32(n.eps),
                             b_.getI64IntegerAttr(n.group));
  Value bias = n.bias ? weight(n.module + ".bias") : Value();
  return LayerNormOp::create(b_, loc_, x.getType(), x, w, bias, f32(n.eps),
                             b_.getI64IntegerAttr(n.group));
}

Value Writer::rope(const Attention &a, Value x) {
  return RopeOp::create(b_, loc_, x.getType(), x, tables_[a.rope], b_.getI64IntegerAttr(a.head_dim),
                        b_.getBoolAttr(a.rope_interleaved));
}

Value Writer::operator()(const Attention &a) {
  const double clip_first = a.clip_after_norm ? 0 : a.clip;
  Value q = clip(linear(a.q, x_), clip_first);
  Value k = clip(linear(a.k, x_), clip_first);
  Value v = clip(linear(a.v, x_), a.clip);
  auto norms = [&] {
    if (a.q_norm)
      q = norm(*a.q_norm, q);
    if (a.k_norm)
      k = norm(*a.k_norm, k);
    if (a.clip_after_norm) {
      q = clip(q, a.clip);
      k = clip(k, a.clip);
    }
  };
  if (!a.norm_after_rope)
    norms();
  at(a.module);
  if (a.rope != kNoRope) {
    q = rope(a, q);
    k = rope(a, k);
  }
  if (a.norm_after_rope)
    norms();
  at(a.module);
  Value kv = state(a.module + ".kv", StateKind::kv, {a.kv_heads, a.head_dim, a.head_dim});
  KvAppendOp::create(b_, loc_, k, v, batch_, kv);
  DenseF32ArrayAttr alibi;
  if (!a.alibi.empty())
    alibi = b_.getDenseF32ArrayAttr(a.alibi);
  Value y = AttentionOp::create(
      b_, loc_, rows_like(q, a.heads * a.head_dim), q, batch_, kv,
      a.sinks.empty() ? Value() : weight(a.sinks), b_.getI64IntegerAttr(a.heads), f32(a.scale),
      b_.getI64IntegerAttr(a.window), f32(a.softcap), alibi, b_.getBoolAttr(a.alibi_bf16));
  return linear(a.o, y);
}

Value Writer::operator()(const Mamba2 &m) {
  Value projected = linear(m.in_proj, x_);
  at(m.module);
  Value z = slice(projected, 0, m.inner());
  Value xbc = slice(projected, m.inner(), m.conv_channels());
  Value dt = slice(projected, m.inner() + m.conv_channels(), m.heads);

  at(m.conv);
  Value window = state(m.conv + ".window", StateKind::window, {m.conv_channels(), m.kernel - 1});
  Value conv_bias = m.conv_bias ? weight(m.conv + ".bias") : Value();
  xbc = CausalConv1dOp::create(b_, loc_, xbc.getType(), xbc, batch_, window,
                               weight(m.conv + ".weight"), conv_bias);
  xbc = unary(unary_kind(m.activation), xbc);

  at(m.module);
  Value x = slice(xbc, 0, m.inner());
  Value b = slice(xbc, m.inner(), m.groups * m.state);
  Value c = slice(xbc, m.inner() + m.groups * m.state, m.groups * m.state);

  dt = unary(UnaryKind::softplus, binary(BinaryKind::add, dt, weight(m.dt_bias)));
  if (m.dt_min > 0 || std::isfinite(m.dt_max))
    dt = ClampOp::create(b_, loc_, dt.getType(), dt, f32(m.dt_min), f32(m.dt_max));
  Value a = weight(m.a);
  if (m.a_is_log)
    a = WeightMapOp::create(b_, loc_,
                            WeightType::get(b_.getContext(), {m.heads}, b_.getStringAttr("f32")), a,
                            b_.getStringAttr("neg_exp"));
  Value decay = unary(UnaryKind::exp, binary(BinaryKind::mul, dt, a));
  Value v = binary(BinaryKind::mul, x, dt, m.head_dim);
  Value memory = state(m.module + ".ssm", StateKind::recurrent, {m.heads, m.state, m.head_dim});
  Value y = LinearRecurrenceOp::create(b_, loc_, x.getType(), c, b, v, decay, Value(), Value(),
                                       batch_, memory, b_.getI64IntegerAttr(m.groups),
                                       DecayKindAttr::get(b_.getContext(), DecayKind::head));
  Value skip = binary(BinaryKind::mul, x, weight(m.d), m.head_dim);
  y = binary(BinaryKind::add, y, skip);
  y = gated("silu", z, y);
  y = norm(m.norm, y);
  return linear(m.out_proj, y);
}

Value Writer::operator()(const GatedMlp &m) {
  Value gate = linear(m.gate, x_);
  Value up = linear(m.up, x_);
  at(m.module);
  Value y = linear(m.down, gated(m.activation, gate, up));
  if (!m.row_gate)
    return y;
  Value open = unary(UnaryKind::sigmoid, linear(*m.row_gate, x_));
  return binary(BinaryKind::mul, y, open, colsOf(y.getType()));
}

Value Writer::operator()(const Mlp &m) {
  Value up = linear(m.up, x_);
  at(m.module);
  return linear(m.down, unary(unary_kind(m.activation), up));
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
  Value gate = experts(m.gate, x_, route.getIds());
  Value up = experts(m.up, x_, route.getIds());
  at(m.module);
  const auto number = [&](double value, double none) {
    return value == none ? FloatAttr() : f32(value);
  };
  Value hidden = GatedActOp::create(b_, loc_, up.getType(), unary_kind(m.activation), gate, up,
                                    number(m.limit, 0), number(m.alpha, 1), number(m.shift, 0));
  Value y = experts(m.down, hidden, route.getIds());
  at(m.module);
  return CombineOp::create(b_, loc_, rows_like(x_, m.down.out), y, route.getWeights());
}

Value Writer::embedded(Value tokens) {
  at(decoder_.embedding);
  RankedTensorType rows = rowsType(b_.getContext(), "T", decoder_.hidden);
  Value x = EmbeddingOp::create(b_, loc_, rows, tokens, weight(decoder_.embedding + ".weight"));
  x = scale(x, decoder_.embedding_scale);
  if (const auto &p = decoder_.positions) {
    at(p->module);
    Value ids = PositionsOp::create(b_, loc_, indicesType(b_.getContext(), "T"), batch_,
                                    b_.getI64IntegerAttr(p->offset));
    Value row = EmbeddingOp::create(b_, loc_, rows, ids, weight(p->module + ".weight"));
    x = binary(BinaryKind::add, x, row);
  }
  return norm(decoder_.embedding_norm, x);
}

Value Writer::logits(Value tokens, Value rows) {
  for (const Rope &rope : decoder_.ropes) {
    at("rope");
    auto type = rowsType(b_.getContext(), "T", 2 * static_cast<int64_t>(rope.inv_freq.size()));
    tables_.push_back(RopeTableOp::create(b_, loc_, type, batch_,
                                          b_.getDenseF32ArrayAttr(rope.inv_freq), f32(rope.scale)));
  }
  Value x = embedded(tokens);
  for (const Layer &layer : decoder_.layers) {
    const Value input = x;
    for (const Sublayer &sublayer : layer.sublayers) {
      if (sublayer.input != Input::Shared)
        x_ = norm(sublayer.norm, sublayer.input == Input::Layer ? input : x);
      Value y = norm(sublayer.post, std::visit(*this, sublayer.block));
      x = binary(BinaryKind::add, x, scale(y, sublayer.scale));
    }
  }
  // Only the rows whose logits are wanted go through the head.
  at(decoder_.final_norm.module);
  x = GatherRowsOp::create(b_, loc_, rowsType(b_.getContext(), "R", decoder_.hidden), x, rows);
  x = linear(decoder_.head, norm(decoder_.final_norm, x));
  x = scale(x, decoder_.logit_scale);
  if (const double cap = decoder_.logit_softcap; cap != 0)
    x = scale(unary(UnaryKind::tanh, scale(x, 1 / cap)), cap);
  return x;
}

OwningOpRef<ModuleOp> Writer::write() {
  MLIRContext *context = b_.getContext();
  at(decoder_.family);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc_);
  declarations_.setInsertionPointToStart(module->getBody());
  declare_weights();

  llvm::SmallVector<Attribute> files;
  for (const std::string &file : source_.files)
    files.push_back(b_.getStringAttr(file));
  module.get()->setAttr(attrs::kFiles, b_.getArrayAttr(files));
  llvm::SmallVector<NamedAttribute> model = {
      b_.getNamedAttr(attrs::kModelFamily, b_.getStringAttr(decoder_.family)),
      b_.getNamedAttr(attrs::kModelVocab, b_.getI64IntegerAttr(decoder_.vocab)),
      b_.getNamedAttr(attrs::kModelContext, b_.getI64IntegerAttr(decoder_.context)),
      b_.getNamedAttr(attrs::kModelHidden, b_.getI64IntegerAttr(decoder_.hidden)),
      b_.getNamedAttr(attrs::kModelLayers,
                      b_.getI64IntegerAttr(static_cast<int64_t>(decoder_.layers.size())))};
  if (source_.synthetic_seed)
    model.push_back(b_.getNamedAttr(attrs::kModelSynthetic, b_.getUnitAttr()));
  module.get()->setAttr(attrs::kModel, b_.getDictionaryAttr(model));

  at("step");
  auto type = b_.getFunctionType(
      {indicesType(context, "T"), indicesType(context, "R"), BatchType::get(context)},
      rowsType(context, "R", decoder_.vocab));
  b_.setInsertionPointToEnd(module->getBody());
  auto step = func::FuncOp::create(b_, loc_, "step", type);
  // States are declared before the function while its body is written.
  declarations_.setInsertionPoint(step);
  mlir::Block *body = step.addEntryBlock();
  b_.setInsertionPointToStart(body);
  batch_ = body->getArgument(2);
  Value result = logits(body->getArgument(0), body->getArgument(1));
  func::ReturnOp::create(b_, loc_, result);
  return module;
}

} // namespace

OwningOpRef<ModuleOp> build(const Decoder &decoder, const Source &source, MLIRContext &context) {
  context.loadDialect<QuernDialect, func::FuncDialect>();
  return Writer(decoder, source, context).write();
}

} // namespace quern::recipe

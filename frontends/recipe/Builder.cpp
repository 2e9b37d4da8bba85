#include "frontends/recipe/Builder.h"

#include "frontends/recipe/Writer.h"
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

Value Writer::state(const std::string &name, StateKind kind, llvm::ArrayRef<int64_t> shape,
                    bool shared) {
  auto type = StateType::get(b_.getContext(), kind, shape, StateFormat::f32, shared);
  DeclareStateOp::create(declarations_, loc_, name, type, IntegerAttr(), IntegerAttr());
  return StateRefOp::create(b_, loc_, type, FlatSymbolRefAttr::get(b_.getContext(), name));
}

/// The rows of a weight that is stored with others.
Value Writer::rows_of(const Rows &rows, Value stored, llvm::ArrayRef<int64_t> shape) {
  if (!rows.stored)
    return stored;
  return WeightRowsOp::create(b_, loc_, weight_type(stored, shape), stored,
                              b_.getI64IntegerAttr(rows.offset), b_.getI64IntegerAttr(rows.block),
                              b_.getI64IntegerAttr(rows.stride));
}

Value Writer::linear(const Linear &l, Value x) {
  at(l.module);
  Value w = weight(l.weight_name());
  if (l.transposed && !upright_.contains(l.weight_name()))
    w = WeightTransposeOp::create(b_, loc_,
                                  weight_type(w, {l.rows.stored ? l.rows.stored : l.out, l.in}), w);
  w = rows_of(l.rows, w, {l.out, l.in});
  Value bias;
  if (l.bias)
    bias = rows_of(l.rows, weight(l.bias_name()), {l.out});
  Value y = LinearOp::create(b_, loc_, rows_like(x, l.out), x, w, bias);
  if (!l.adapter)
    return y;
  Value more = linear({.module = l.adapter->down, .in = l.in, .out = l.adapter->rank}, x);
  more =
      linear({.module = l.adapter->up, .in = l.adapter->rank, .out = l.out, .rows = l.rows}, more);
  at(l.module);
  return binary(BinaryKind::add, y, more);
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
    w = weight(n.weight_name());
    if (n.heads)
      w = WeightReshapeOp::create(b_, loc_, weight_type(w, {n.size}), w);
  }
  if (n.add_one)
    w = map("add_one", w);
  return w;
}

Value Writer::norm(const Norm &n, Value x) {
  if (n.kind == NormKind::None)
    return x;
  at(n.module);
  Value w = norm_weight(n);
  Value bias = n.bias ? weight(n.module + ".bias") : Value();
  if (n.kind == NormKind::Rms) {
    Value y =
        RmsNormOp::create(b_, loc_, x.getType(), x, w, f32(n.eps), b_.getI64IntegerAttr(n.group),
                          n.root_eps ? b_.getUnitAttr() : UnitAttr());
    return bias ? binary(BinaryKind::add, y, bias) : y;
  }
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
  const auto gated_by = [&](Value y) {
    if (!a.gate)
      return y;
    Value gate = linear(*a.gate, x_);
    at(a.module);
    return gated("sigmoid", gate, y);
  };
  if (decoder_.encoding)
    return linear(a.o, gated_by(attention_rows(a, q, k, v)));
  Value kv = state((a.state.empty() ? a.module : a.state) + ".kv", StateKind::kv,
                   {a.kv_heads, a.head_dim, a.head_dim});
  KvAppendOp::create(b_, loc_, k, v, batch_, kv);
  DenseF32ArrayAttr alibi;
  if (!a.alibi.empty())
    alibi = b_.getDenseF32ArrayAttr(a.alibi);
  Value y = AttentionOp::create(
      b_, loc_, rows_like(q, a.heads * a.head_dim), q, batch_, kv,
      a.sinks.empty() ? Value() : weight(a.sinks), b_.getI64IntegerAttr(a.heads), f32(a.scale),
      b_.getI64IntegerAttr(a.window), f32(a.softcap), alibi, b_.getBoolAttr(a.alibi_bf16));
  return linear(a.o, gated_by(y));
}

Value Writer::operator()(const GatedMlp &m) {
  Value gate = linear(m.gate, x_);
  Value up = linear(m.up, x_);
  at(m.module);
  Value y = linear(m.down, gated(m.activation, scale(gate, m.gate_scale), up));
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

Value Writer::looked_up(const std::string &module, Value ids) {
  at(module);
  RankedTensorType rows = rowsType(b_.getContext(), "T", decoder_.embedded());
  return EmbeddingOp::create(b_, loc_, rows, ids, weight(module + ".weight"));
}

Value Writer::embedded(Value tokens, Value types) {
  Value x = scale(looked_up(decoder_.embedding, tokens), decoder_.embedding_scale);
  if (const auto &p = decoder_.positions) {
    at(p->module);
    Value ids = PositionsOp::create(b_, loc_, indicesType(b_.getContext(), "T"), batch_,
                                    b_.getI64IntegerAttr(p->offset));
    x = binary(BinaryKind::add, x, looked_up(p->module, ids));
  }
  if (const auto &t = decoder_.types; t && types) {
    x = binary(BinaryKind::add, x, looked_up(t->module, types));
  } else if (t) { // the one row, for all
    at(t->module);
    Value table = weight(t->module + ".weight");
    Value row = WeightReshapeOp::create(b_, loc_, weight_type(table, {decoder_.embedded()}), table);
    x = binary(BinaryKind::add, x, row);
  }
  x = norm(decoder_.embedding_norm, x);
  return decoder_.embedding_projection ? linear(*decoder_.embedding_projection, x) : x;
}

Value Writer::last_rows(Value tokens, Value types) {
  for (const Rope &rope : decoder_.ropes) {
    at("rope");
    auto type = rowsType(b_.getContext(), "T", 2 * static_cast<int64_t>(rope.inv_freq.size()));
    tables_.push_back(RopeTableOp::create(b_, loc_, type, batch_,
                                          b_.getDenseF32ArrayAttr(rope.inv_freq), f32(rope.scale)));
  }
  const Value embeddings = embedded(tokens, types);
  Value x = embeddings, aside;
  for (const Layer &layer : decoder_.layers) {
    const Value input = x;
    for (const Sublayer &sublayer : layer.sublayers) {
      auto given = [&]() -> Value {
        switch (sublayer.input) {
        case Input::Layer:
          return input;
        case Input::Embedded:
          at(sublayer.norm.module);
          return concat({x, embeddings}, 1);
        case Input::Aside:
          return aside;
        case Input::Joined:
          at(sublayer.norm.module);
          return binary(BinaryKind::add, x, aside);
        default:
          return x;
        }
      };
      if (sublayer.input != Input::Shared)
        normed_ = norm(sublayer.norm, given());
      x_ = scale(normed_, sublayer.input_scale);
      Value y = scale(norm(sublayer.post, std::visit(*this, sublayer.block)), sublayer.scale);
      if (sublayer.aside)
        aside = y;
      else
        x = norm(sublayer.after, binary(BinaryKind::add, x, y));
    }
  }
  return x;
}

Value Writer::logits(Value tokens, Value rows) {
  Value x = last_rows(tokens, Value());
  // Only the rows whose logits are wanted go through the head.
  at(decoder_.final_norm.module);
  x = GatherRowsOp::create(b_, loc_, rowsType(b_.getContext(), "R", decoder_.hidden), x, rows);
  x = linear(decoder_.head, norm(decoder_.final_norm, x));
  x = scale(x, decoder_.logit_scale);
  if (const double cap = decoder_.logit_softcap; cap != 0)
    x = scale(unary(UnaryKind::tanh, scale(x, 1 / cap)), cap);
  return x;
}

mlir::Block *Writer::begin_entry(llvm::StringRef name, llvm::ArrayRef<mlir::Type> inputs,
                                 mlir::Type result) {
  at(name);
  auto entry = func::FuncOp::create(b_, loc_, name, b_.getFunctionType(inputs, result));
  // States are declared before the function while its body is written.
  declarations_.setInsertionPoint(entry);
  mlir::Block *body = entry.addEntryBlock();
  b_.setInsertionPointToStart(body);
  batch_ = body->getArguments().back();
  return body;
}

void Writer::write_step() {
  MLIRContext *context = b_.getContext();
  mlir::Block *body = begin_entry(
      "step", {indicesType(context, "T"), indicesType(context, "R"), BatchType::get(context)},
      rowsType(context, "R", decoder_.vocab));
  Value result = logits(body->getArgument(0), body->getArgument(1));
  func::ReturnOp::create(b_, loc_, result);
}

OwningOpRef<ModuleOp> Writer::write() {
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

  b_.setInsertionPointToEnd(module->getBody());
  if (decoder_.encoding)
    write_encode();
  else
    write_step();
  return module;
}

OwningOpRef<ModuleOp> build(const Decoder &decoder, const Source &source, MLIRContext &context) {
  context.loadDialect<QuernDialect, func::FuncDialect>();
  return Writer(decoder, source, context).write();
}

} // namespace quern::recipe

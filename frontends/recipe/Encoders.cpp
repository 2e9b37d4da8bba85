// What encoders have of their own: attention to both sides, and what becomes of a sequence's rows.
#include "frontends/recipe/Writer.h"
#include "ir/quern/AttributeNames.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <cmath>

namespace quern::recipe {

using namespace mlir;

Value Writer::attention_rows(const Attention &a, Value q, Value k, Value v) {
  // A causal window counts the query itself.
  const int64_t left = a.both_sides ? a.window : std::max<int64_t>(0, a.window - 1);
  DenseI32ArrayAttr buckets;
  if (a.bias)
    buckets = b_.getDenseI32ArrayAttr(a.bias->buckets);
  return AttentionRowsOp::create(
      b_, loc_, rows_like(q, a.heads * a.head_dim), q, k, v, batch_,
      a.bias ? weight(a.bias->tensor) : Value(), /*mask=*/Value(), b_.getI64IntegerAttr(a.heads),
      b_.getI64IntegerAttr(a.kv_heads), f32(a.scale), b_.getI64IntegerAttr(left),
      b_.getI64IntegerAttr(a.both_sides ? left : 0), a.both_sides ? UnitAttr() : b_.getUnitAttr(),
      f32(a.softcap), buckets, /*sequences=*/StringAttr(),
      /*nan_is_zero=*/UnitAttr());
}

namespace {
PoolKind kind_of(Pool pool) {
  switch (pool) {
  case Pool::Mean:
    return PoolKind::mean;
  case Pool::First:
    return PoolKind::first;
  case Pool::Last:
    return PoolKind::last;
  case Pool::Max:
    return PoolKind::max;
  case Pool::RootMean:
    return PoolKind::root_mean;
  case Pool::WeightedMean:
    return PoolKind::weighted_mean;
  }
  llvm_unreachable("a way to pool");
}
} // namespace

Value Writer::pooled(Value x) {
  const Encoding &encoding = *decoder_.encoding;
  at("pooling");
  RankedTensorType type = rowsType(b_.getContext(), "B", decoder_.hidden);
  llvm::SmallVector<Value> parts;
  for (const Pool pool : encoding.pools)
    parts.push_back(PoolOp::create(b_, loc_, type, kind_of(pool), x, batch_));
  return staged(parts.size() == 1 ? parts.front() : concat(parts, 1));
}

Value Writer::staged(Value y) {
  for (const Encoding::Stage &stage : decoder_.encoding->stages) {
    if (stage.linear)
      y = linear(*stage.linear, y);
    if (!stage.activation.empty())
      y = unary(unary_kind(stage.activation), y);
    y = norm(stage.norm, y);
    if (!stage.unit)
      continue;
    // x / sqrt(sum(x^2)): sum(x^2) is as many times their mean as there are columns. What is as
    // short as 1e-12 is left to be so.
    at("normalize");
    const double columns = static_cast<double>(colsOf(y.getType()));
    y = RmsNormOp::create(b_, loc_, y.getType(), y, Value(), f32(1e-24 / columns),
                          b_.getI64IntegerAttr(0), UnitAttr());
    y = scale(y, 1 / std::sqrt(columns));
  }
  return y;
}

Value Writer::write_stages(ModuleOp module, OpBuilder &place, Value rows) {
  declarations_.setInsertionPointToStart(module.getBody());
  declare_weights();
  b_.setInsertionPoint(place.getInsertionBlock(), place.getInsertionPoint());
  return staged(rows);
}

Value write_stages(const Decoder &decoder, const Source &source, ModuleOp module, OpBuilder &place,
                   Value rows) {
  // Places number the source's files; the module has others before them.
  llvm::SmallVector<Attribute> files;
  if (auto known = module->getAttrOfType<ArrayAttr>(attrs::kFiles))
    llvm::append_range(files, known);
  Source numbered = source;
  for (Place &at : numbered.places)
    at.file += static_cast<int32_t>(files.size());
  for (const std::string &file : source.files)
    files.push_back(place.getStringAttr(file));
  module->setAttr(attrs::kFiles, place.getArrayAttr(files));
  return Writer(decoder, numbered, *module.getContext()).write_stages(module, place, rows);
}

void Writer::write_encode() {
  MLIRContext *context = b_.getContext();
  const Encoding &encoding = *decoder_.encoding;
  int64_t columns = decoder_.hidden * static_cast<int64_t>(encoding.pools.size());
  for (const Encoding::Stage &stage : encoding.stages)
    if (stage.linear)
      columns = stage.linear->out;
  const bool typed = decoder_.types && decoder_.types->rows > 1;
  llvm::SmallVector<mlir::Type> inputs(typed ? 2 : 1, indicesType(context, "T"));
  inputs.push_back(BatchType::get(context));
  mlir::Block *body = begin_entry("encode", inputs, rowsType(context, "B", columns));
  auto entry = cast<func::FuncOp>(body->getParentOp());
  if (typed)
    entry.setArgAttr(1, attrs::kName, b_.getStringAttr(attrs::kTypesName));
  entry.setResultAttr(0, attrs::kName, b_.getStringAttr(encoding.labels ? "scores" : "embeddings"));
  Value x = last_rows(body->getArgument(0), typed ? body->getArgument(1) : Value());
  x = pooled(norm(decoder_.final_norm, x));
  func::ReturnOp::create(b_, loc_, x);
}

} // namespace quern::recipe

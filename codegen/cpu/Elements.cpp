// See Elements.h.
#include "codegen/cpu/Elements.h"

#include "codegen/cpu/Body.h"
#include "codegen/cpu/ElementTypes.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

static RankedTensorType typeOf(mlir::Value tensor) {
  return cast<RankedTensorType>(tensor.getType());
}

Elements::Elements(Kernel &kernel)
    : kernel(kernel), code(kernel.code), indices(kernel), outside(std::make_unique<Body>(*this)) {}

Elements::~Elements() = default;

Elements::Key Elements::keyOf(void *what, ArrayRef<Value> at) {
  Key key{what, {}};
  for (Value value : at)
    key.second.push_back(value ? value.getAsOpaquePointer() : nullptr);
  return key;
}

SmallVector<Value> Elements::remember(Key key, llvm::function_ref<SmallVector<Value>()> make) {
  for (const SmallVector<Value> &values : made[key])
    if (llvm::all_of(values, [&](Value value) { return indices.visible(value); }))
      return values;
  SmallVector<Value> values = make();
  made[key].push_back(values);
  log.push_back(std::move(key));
  return values;
}

void Elements::forget(Mark mark) {
  indices.forget(mark.indices);
  for (; log.size() > mark.made; log.pop_back())
    made[log.back()].pop_back();
  outside = std::make_unique<Body>(*this);
}

Value Elements::refuse(Operation *op, Type type) {
  if (!refused)
    op->emitError("the cpu target has no code for '") << op->getName() << "' in a general region";
  refused = true;
  return LLVM::PoisonOp::create(code.b, valueType(type));
}

Value Elements::scalar(mlir::Value value) { return outside->get(value); }

Value Elements::element(mlir::Value tensor, ArrayRef<Value> at) {
  if (auto it = bound.find(tensor); it != bound.end())
    return it->second(at);
  if (auto generic = tensor.getDefiningOp<linalg::GenericOp>()) {
    unsigned result = cast<OpResult>(tensor).getResultNumber();
    return results(generic, pointOf(generic, result, at))[result];
  }
  return remember(keyOf(tensor.getAsOpaquePointer(), at),
                  [&] { return SmallVector<Value>{compute(tensor, at)}; })
      .front();
}

Value Elements::memory(mlir::Value tensor) {
  if (bound.count(tensor))
    return {};
  if (Operation *def = tensor.getDefiningOp(); isa_and_nonnull<ReshapeOp, tensor::CastOp>(def))
    return memory(def->getOperand(0));
  if (isa<BlockArgument>(tensor))
    return kernel.pointer(tensor);
  if (auto weight = tensor.getDefiningOp<WeightTensorOp>())
    return kernel.pointer(weight.getWeight());
  if (auto constant = tensor.getDefiningOp<arith::ConstantOp>())
    if (auto values = dyn_cast<DenseElementsAttr>(constant.getValue());
        values && !values.isSplat()) {
      Value &array = arrays[tensor];
      if (!array)
        array = indices.atEntry([&] { return constantArray(code, values); });
      return array;
    }
  return {};
}

Value Elements::compute(mlir::Value tensor, ArrayRef<Value> at) {
  RankedTensorType type = typeOf(tensor);
  if (Value base = memory(tensor))
    return loadElement(code, type.getElementType(), base, indices.linear(at, indices.sizes(type)));
  return llvm::TypeSwitch<Operation *, Value>(tensor.getDefiningOp())
      .Case([&](arith::ConstantOp op) {
        auto values = dyn_cast<SplatElementsAttr>(op.getValue());
        if (!values)
          return refuse(op, type.getElementType());
        return constantElement(code, type.getElementType(), values.getSplatValue<Attribute>());
      })
      .Case([&](linalg::FillOp op) { return scalar(op.getInputs().front()); })
      .Case([&](tensor::SplatOp op) { return scalar(op.getInput()); })
      .Case([&](tensor::EmptyOp) -> Value {
        return LLVM::ZeroOp::create(code.b, valueType(type.getElementType()));
      })
      .Case([&](tensor::CastOp op) { return element(op.getSource(), at); })
      .Case([&](tensor::ExtractSliceOp op) { return computeSlice(op, at); })
      .Case([&](tensor::ConcatOp op) { return computeConcat(op, at, 0); })
      .Case([&](tensor::PadOp op) { return computePad(op, at); })
      .Case([&](ReshapeOp op) { return computeReshape(op, at); })
      .Default([&](Operation *op) { return refuse(op, type.getElementType()); });
}

Value Elements::computeSlice(tensor::ExtractSliceOp op, ArrayRef<Value> at) {
  if (op.getSourceType().getRank() != op.getType().getRank())
    return refuse(op, op.getType().getElementType());
  auto number = [&](OpFoldResult value) {
    if (auto attribute = dyn_cast<Attribute>(value))
      return indices.constant(cast<IntegerAttr>(attribute).getInt());
    return indices.number(scalar(cast<mlir::Value>(value)));
  };
  IndexList source;
  for (auto [index, offset, stride] :
       llvm::zip_equal(at, op.getMixedOffsets(), op.getMixedStrides()))
    source.push_back(indices.add(number(offset), indices.mul(index, number(stride))));
  return element(op.getSource(), source);
}

Value Elements::choose(Value condition, Type type, llvm::function_ref<Value()> yes,
                       llvm::function_ref<Value()> no) {
  auto branch = scf::IfOp::create(code.b, TypeRange{type}, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(code.b);
  for (auto [region, value] :
       {std::pair(&branch.getThenRegion(), yes), std::pair(&branch.getElseRegion(), no)}) {
    code.b.setInsertionPointToStart(&region->front());
    scf::YieldOp::create(code.b, value());
  }
  return branch.getResult(0);
}

Value Elements::computeConcat(tensor::ConcatOp op, ArrayRef<Value> at, unsigned input) {
  mlir::Value source = op.getInputs()[input];
  if (input + 1 == op.getInputs().size())
    return element(source, at);
  const auto dim = static_cast<int64_t>(op.getDim());
  Value size = indices.size(typeOf(source), dim);
  return choose(
      code.less(at[dim], size), valueType(op.getType().getElementType()),
      [&] { return element(source, at); },
      [&] {
        IndexList rest(at);
        rest[dim] = indices.sub(at[dim], size);
        return computeConcat(op, rest, input + 1);
      });
}

Value Elements::computePad(tensor::PadOp op, ArrayRef<Value> at) {
  RankedTensorType source = op.getSourceType();
  auto number = [&](OpFoldResult value) {
    if (auto attribute = dyn_cast<Attribute>(value))
      return indices.constant(cast<IntegerAttr>(attribute).getInt());
    return indices.number(scalar(cast<mlir::Value>(value)));
  };
  IndexList inside;
  Value within;
  for (auto [dim, index, low, high] :
       llvm::enumerate(at, op.getMixedLowPad(), op.getMixedHighPad())) {
    Value before = number(low), after = number(high);
    inside.push_back(indices.sub(index, before));
    if (Indices::known(before) == 0 && Indices::known(after) == 0)
      continue;
    // One comparison: what is below 0 is large without a sign.
    Value fits = arith::CmpIOp::create(code.b, arith::CmpIPredicate::ult, inside.back(),
                                       indices.size(source, static_cast<int64_t>(dim)));
    within = within ? Value(arith::AndIOp::create(code.b, within, fits)) : fits;
  }
  mlir::Value outside = op.getConstantPaddingValue();
  if (!outside)
    return refuse(op, source.getElementType());
  if (!within)
    return element(op.getSource(), inside);
  Value padding = scalar(outside);
  return choose(
      within, padding.getType(), [&] { return element(op.getSource(), inside); },
      [&] { return padding; });
}

// Dimensions in front and behind that are the same in both keep their indices; what lies between is
// numbered and taken apart again.
Value Elements::computeReshape(ReshapeOp op, ArrayRef<Value> at) {
  IndexList from = indices.sizes(op.getInput().getType()), to = indices.sizes(op.getType());
  IndexList front, back;
  ArrayRef<Value> source = from, shape = to;
  while (!source.empty() && !shape.empty() && source.front() == shape.front()) {
    front.push_back(at.front());
    at = at.drop_front(), source = source.drop_front(), shape = shape.drop_front();
  }
  while (!source.empty() && !shape.empty() && source.back() == shape.back()) {
    back.push_back(at.back());
    at = at.drop_back(), source = source.drop_back(), shape = shape.drop_back();
  }
  IndexList all = front;
  llvm::append_range(all, indices.split(indices.linear(at, shape), source));
  llvm::append_range(all, llvm::reverse(back));
  return element(op.getInput(), all);
}

IndexList Elements::extents(linalg::GenericOp op) {
  IndexList all(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type)
      continue;
    for (auto [i, result] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(result))
        if (!all[dim.getPosition()])
          all[dim.getPosition()] = indices.size(type, static_cast<int64_t>(i));
  }
  for (Value &extent : all)
    if (!extent) {
      refuse(op, code.i64());
      extent = indices.constant(1);
    }
  return all;
}

IndexList Elements::pointOf(linalg::GenericOp op, unsigned result, ArrayRef<Value> at) {
  IndexList point(op.getNumLoops());
  AffineMap map = op.getIndexingMapMatchingResult(op->getResult(result));
  for (auto [index, expression] : llvm::zip_equal(at, map.getResults()))
    if (auto dim = dyn_cast<AffineDimExpr>(expression))
      point[dim.getPosition()] = index;
  // What no index says has one value.
  for (auto [i, kind] : llvm::enumerate(op.getIteratorTypesArray()))
    if (!point[i] && kind == utils::IteratorType::parallel)
      point[i] = indices.constant(0);
  return point;
}

IndexList Elements::operandIndices(linalg::GenericOp op, OpOperand &operand,
                                   ArrayRef<Value> point) {
  IndexList at;
  for (AffineExpr expression : op.getMatchingIndexingMap(&operand).getResults())
    at.push_back(indices.evaluate(expression, point));
  return at;
}

SmallVector<Value> Elements::results(linalg::GenericOp op, ArrayRef<Value> point) {
  return remember(keyOf(op.getOperation(), point), [&] { return computeResults(op, point); });
}

SmallVector<Value> Elements::computeResults(linalg::GenericOp op, ArrayRef<Value> point) {
  if (op.getNumReductionLoops() == 0) {
    Body body(*this, op, point);
    return llvm::map_to_vector(op.getBody()->getTerminator()->getOperands(),
                               [&](mlir::Value value) { return body.get(value); });
  }
  // A reduction that does not depend on a loop is written before it.
  OpBuilder::InsertionGuard guard(code.b);
  while (auto loop = dyn_cast_or_null<scf::ForOp>(code.b.getInsertionBlock()->getParentOp())) {
    auto fixed = [&](Value index) { return !index || index.getParentBlock() != loop.getBody(); };
    if (!llvm::all_of(point, fixed))
      break;
    code.b.setInsertionPoint(loop);
  }
  return reduce(*this, op, point);
}

SmallVector<Value> Elements::loop(Value from, Value to, Value step, ValueRange init,
                                  std::function<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(code.b, from, to, step, init);
  OpBuilder::InsertionGuard guard(code.b);
  code.b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!init.empty())
    scf::YieldOp::create(code.b, next);
  return llvm::to_vector_of<Value>(loop.getResults());
}

// See Body.h.
#include "codegen/cpu/Body.h"

#include "codegen/cpu/ElementTypes.h"
#include "codegen/cpu/Faults.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

Value Body::get(mlir::Value value) {
  if (auto it = known.find(value); it != known.end())
    for (Value is : it->second)
      if (elements.indices.visible(is))
        return is;
  Operation *def = value.getDefiningOp();
  if (!def) {
    auto argument = cast<BlockArgument>(value);
    assert(op && argument.getOwner() == op.getBody() && "what a loop carries is known");
    OpOperand &operand = *op.getMatchingOpOperand(argument);
    Value is = isa<RankedTensorType>(operand.get().getType())
                   ? elements.element(operand.get(), elements.operandIndices(op, operand, point))
                   : elements.scalar(operand.get());
    known[value].push_back(is);
    return is;
  }
  if (op && !op->isAncestor(def))
    return elements.scalar(value);
  SmallVector<Value> made = translate(def);
  for (auto [result, is] : llvm::zip_equal(def->getResults(), made))
    known[result].push_back(is);
  return known[value].back();
}

static bool isShort(Type type) { return type.isF16() || type.isBF16(); }

SmallVector<Value> Body::clone(Operation *op) {
  IRMapping mapping;
  for (mlir::Value operand : op->getOperands())
    mapping.map(operand, get(operand));
  Operation *made = code.b.clone(*op, mapping);
  made->setLoc(code.b.getLoc());
  SmallVector<Value> values;
  for (auto [result, original] : llvm::zip_equal(made->getResults(), op->getResults())) {
    result.setType(valueType(original.getType()));
    values.push_back(result);
  }
  return values;
}

// Whether the op's result is one of its operands, or as short as they are.
static bool isExact(Operation *op) {
  return isa<arith::SelectOp, arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
             arith::MinNumFOp, arith::NegFOp, math::AbsFOp, math::CopySignOp, math::FloorOp,
             math::CeilOp, math::TruncOp, math::RoundOp, math::RoundEvenOp>(op);
}

SmallVector<Value> Body::translate(Operation *op) {
  auto one = [](Value value) { return SmallVector<Value>{value}; };
  auto zeroOf = [&](Value like) -> Value {
    return arith::ConstantOp::create(code.b, code.b.getZeroAttr(like.getType()));
  };
  auto compare = [&](arith::CmpIPredicate how, Value l, Value r) -> Value {
    return arith::CmpIOp::create(code.b, how, l, r);
  };
  // Division that rounds to one side: one more, or less, where something is left and the quotient
  // was rounded the other way.
  auto divide = [&](Operation *op, bool up) {
    Value l = get(op->getOperand(0)), r = get(op->getOperand(1)), zero = zeroOf(l);
    Value one = arith::ConstantOp::create(code.b, code.b.getIntegerAttr(l.getType(), 1));
    Value quotient = arith::DivSIOp::create(code.b, l, r);
    Value rest = code.sub(l, code.mul(quotient, r));
    Value left = compare(arith::CmpIPredicate::ne, rest, zero);
    Value sameSign = compare(up ? arith::CmpIPredicate::eq : arith::CmpIPredicate::ne,
                             compare(arith::CmpIPredicate::slt, rest, zero),
                             compare(arith::CmpIPredicate::slt, r, zero));
    Value moved = up ? code.add(quotient, one) : code.sub(quotient, one);
    return code.select(arith::AndIOp::create(code.b, left, sameSign), moved, quotient);
  };
  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([&](arith::ConstantOp op) {
        return isa<FloatAttr>(op.getValue())
                   ? one(constantElement(code, op.getType(), op.getValue()))
                   : clone(op);
      })
      .Case([&](SizeOp op) {
        auto type = RankedTensorType::get({ShapedType::kDynamic}, code.i64(),
                                          DimsAttr::get(op.getContext(), {op.getDimAttr()}));
        return one(elements.indices.index(elements.indices.size(type, 0)));
      })
      .Case([&](linalg::IndexOp op) { return one(elements.indices.index(point[op.getDim()])); })
      .Case([&](affine::AffineApplyOp op) {
        SmallVector<Value> operands;
        for (mlir::Value operand : op.getMapOperands())
          operands.push_back(elements.indices.number(get(operand)));
        AffineMap map = op.getAffineMap();
        // Symbols are counted behind the dimensions.
        SmallVector<AffineExpr> symbols;
        for (unsigned i = 0; i < map.getNumSymbols(); ++i)
          symbols.push_back(getAffineDimExpr(map.getNumDims() + i, op.getContext()));
        AffineExpr result = map.getResult(0).replaceDimsAndSymbols({}, symbols);
        return one(elements.indices.index(elements.indices.evaluate(result, operands)));
      })
      .Case([&](tensor::ExtractOp op) {
        IndexList at;
        for (mlir::Value index : op.getIndices())
          at.push_back(elements.indices.number(get(index)));
        return one(elements.element(op.getTensor(), at));
      })
      .Case([&](CheckIndexOp op) {
        Value index = elements.indices.number(get(op.getIndex()));
        Value size = elements.indices.number(get(op.getSize()));
        return one(elements.indices.index(elements.kernel.faults().check(op, index, size)));
      })
      .Case([&](CheckDivisorOp op) {
        return one(elements.kernel.faults().check(op, get(op.getDivisor())));
      })
      .Case([&](scf::IfOp op) { return translateIf(op); })
      .Case([&](scf::ForOp op) { return translateFor(op); })
      .Case([&](arith::BitcastOp op) { return one(translateBitcast(op)); })
      .Case([&](arith::ExtFOp op) {
        Value value = get(op.getIn());
        if (value.getType() == op.getType())
          return one(value);
        return one(arith::ExtFOp::create(code.b, op.getType(), value));
      })
      .Case([&](arith::TruncFOp op) {
        Value value = get(op.getIn());
        if (isShort(op.getType()))
          return one(roundTo(code, op.getType(), value));
        return clone(op);
      })
      .Case([&](arith::FloorDivSIOp op) { return one(divide(op, false)); })
      .Case([&](arith::CeilDivSIOp op) { return one(divide(op, true)); })
      .Case([&](arith::CeilDivUIOp op) {
        Value l = get(op.getLhs()), r = get(op.getRhs());
        Value one_ = arith::ConstantOp::create(code.b, code.b.getIntegerAttr(l.getType(), 1));
        Value empty = compare(arith::CmpIPredicate::eq, l, zeroOf(l));
        Value most = arith::DivUIOp::create(code.b, code.sub(l, one_), r);
        return one(code.select(empty, zeroOf(l), code.add(most, one_)));
      })
      .Default([&](Operation *op) {
        SmallVector<Value> values;
        if (isa<math::MathDialect>(op->getDialect()) || isa<arith::RemFOp>(op)) {
          SmallVector<Value> operands;
          for (mlir::Value operand : op->getOperands())
            operands.push_back(get(operand));
          Value value = writeMath(code, op, operands);
          values = {value ? value : elements.refuse(op, op->getResult(0).getType())};
        } else if (isa<arith::ArithDialect>(op->getDialect())) {
          values = clone(op);
        } else {
          for (Type type : op->getResultTypes())
            values.push_back(elements.refuse(op, type));
          return values;
        }
        for (auto [value, result] : llvm::zip_equal(values, op->getResults()))
          if (isShort(result.getType()) && !isExact(op))
            value = roundTo(code, result.getType(), value);
        return values;
      });
}

Value Body::translateBitcast(arith::BitcastOp op) {
  Type from = op.getIn().getType(), to = op.getType();
  Value value = get(op.getIn());
  auto shift = [&](Type type, Value bits, bool left) -> Value {
    bits = left ? Value(arith::ExtUIOp::create(code.b, code.i32(), bits)) : bits;
    bits = left ? Value(arith::ShLIOp::create(code.b, bits, code.c32(16)))
                : Value(arith::ShRUIOp::create(code.b, bits, code.c32(16)));
    return left ? Value(arith::BitcastOp::create(code.b, code.f32(), bits))
                : Value(arith::TruncIOp::create(code.b, type, bits));
  };
  if (from.isBF16())
    value = shift(code.b.getI16Type(), arith::BitcastOp::create(code.b, code.i32(), value), false);
  else if (from.isF16())
    value = arith::BitcastOp::create(code.b, code.b.getI16Type(),
                                     arith::TruncFOp::create(code.b, from, value));
  if (to.isBF16())
    return shift(to, value, true);
  if (to.isF16()) {
    Value half = arith::BitcastOp::create(code.b, to, value);
    return arith::ExtFOp::create(code.b, code.f32(), half);
  }
  Type type = valueType(to);
  return value.getType() == type ? value : Value(arith::BitcastOp::create(code.b, type, value));
}

SmallVector<Value> Body::yields(Block &block) {
  return llvm::map_to_vector(block.getTerminator()->getOperands(),
                             [&](mlir::Value value) { return get(value); });
}

SmallVector<Value> Body::translateIf(scf::IfOp op) {
  SmallVector<Type> types =
      llvm::map_to_vector(op.getResultTypes(), [](Type type) { return valueType(type); });
  auto made = scf::IfOp::create(code.b, types, get(op.getCondition()), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(code.b);
  for (auto [from, to] : {std::pair(&op.getThenRegion(), &made.getThenRegion()),
                          std::pair(&op.getElseRegion(), &made.getElseRegion())}) {
    code.b.setInsertionPointToStart(&to->front());
    scf::YieldOp::create(code.b, yields(from->front()));
  }
  return llvm::to_vector_of<Value>(made.getResults());
}

SmallVector<Value> Body::translateFor(scf::ForOp op) {
  auto number = [&](mlir::Value value) { return elements.indices.number(get(value)); };
  SmallVector<Value> init =
      llvm::map_to_vector(op.getInitArgs(), [&](mlir::Value value) { return get(value); });
  Type type = op.getInductionVar().getType();
  return elements.loop(number(op.getLowerBound()), number(op.getUpperBound()), number(op.getStep()),
                       init, [&](Value at, ValueRange carried) {
                         Value variable = at;
                         if (type.isIndex())
                           variable = elements.indices.index(at);
                         else if (type != code.i64())
                           variable = arith::TruncIOp::create(code.b, type, at);
                         bind(op.getInductionVar(), variable);
                         for (auto [argument, value] :
                              llvm::zip_equal(op.getRegionIterArgs(), carried))
                           bind(argument, value);
                         return yields(*op.getBody());
                       });
}

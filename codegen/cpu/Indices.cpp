// See Indices.h.
#include "codegen/cpu/Indices.h"

#include "passes/analysis/Sizes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

Indices::Indices(Kernel &kernel) : kernel(kernel), code(kernel.code) {
  entry = code.c(0).getDefiningOp();
}

Value Indices::atEntry(llvm::function_ref<Value()> make) {
  OpBuilder::InsertionGuard guard(code.b);
  code.b.setInsertionPoint(entry);
  return make();
}

std::optional<int64_t> Indices::known(Value value) { return getConstantIntValue(value); }

bool Indices::visible(Value value) const {
  Block *home = value.getParentBlock();
  for (Block *at = code.b.getInsertionBlock(); at;
       at = at->getParentOp() ? at->getParentOp()->getBlock() : nullptr)
    if (at == home)
      return true;
  return false;
}

void Indices::forget(size_t mark) {
  for (; log.size() > mark; log.pop_back())
    made[log.back()].pop_back();
}

Value Indices::remember(Kind kind, Value l, Value r, llvm::function_ref<Value()> make) {
  Key key(kind, l.getAsOpaquePointer(), r ? r.getAsOpaquePointer() : nullptr);
  auto &found = made[key];
  for (Value value : found)
    if (visible(value))
      return value;
  Value value = make();
  found.push_back(value);
  log.push_back(key);
  return value;
}

Value Indices::constant(int64_t value) {
  Value &made = constants[value];
  if (!made)
    made = atEntry([&] { return code.c(value); });
  return made;
}

Value Indices::number(Value index) {
  if (index.getType() == code.i64())
    return index;
  if (std::optional<int64_t> value = known(index))
    return constant(*value);
  if (auto cast = index.getDefiningOp<arith::IndexCastOp>())
    if (cast.getIn().getType() == code.i64())
      return cast.getIn();
  return remember(Kind::number, index, {}, [&]() -> Value {
    return index.getType().isIndex() ? Value(arith::IndexCastOp::create(code.b, code.i64(), index))
                                     : Value(arith::ExtSIOp::create(code.b, code.i64(), index));
  });
}

Value Indices::index(Value number) {
  return remember(Kind::index, number, {}, [&]() -> Value {
    return arith::IndexCastOp::create(code.b, code.b.getIndexType(), number);
  });
}

Value Indices::add(Value l, Value r) {
  std::optional<int64_t> x = known(l), y = known(r);
  if (x && y)
    return constant(*x + *y);
  if (x == 0)
    return r;
  if (y == 0)
    return l;
  return remember(Kind::add, l, r, [&] { return code.add(l, r); });
}

Value Indices::sub(Value l, Value r) {
  std::optional<int64_t> x = known(l), y = known(r);
  if (x && y)
    return constant(*x - *y);
  if (y == 0)
    return l;
  return remember(Kind::sub, l, r, [&] { return code.sub(l, r); });
}

Value Indices::mul(Value l, Value r) {
  std::optional<int64_t> x = known(l), y = known(r);
  if (x && y)
    return constant(*x * *y);
  if (x == 1 || y == 0)
    return r;
  if (y == 1 || x == 0)
    return l;
  return remember(Kind::mul, l, r, [&] { return code.mul(l, r); });
}

Value Indices::div(Value l, Value r) {
  std::optional<int64_t> x = known(l), y = known(r);
  if (x && y && *y > 0)
    return constant(*x / *y);
  if (y == 1 || x == 0)
    return l;
  return remember(Kind::div, l, r, [&] { return code.div(l, r); });
}

Value Indices::rem(Value l, Value r) {
  std::optional<int64_t> x = known(l), y = known(r);
  if (x && y && *y > 0)
    return constant(*x % *y);
  if (y == 1)
    return constant(0);
  return remember(Kind::rem, l, r, [&] { return code.rem(l, r); });
}

Value Indices::size(RankedTensorType type, int64_t dim) {
  if (!type.isDynamicDim(dim))
    return constant(type.getDimSize(dim));
  std::string name = dimNames(type)[type.getDynamicDimIndex(dim)].str();
  Value &made = symbols[name];
  if (!made)
    made = atEntry([&] { return kernel.count(name); });
  return made;
}

IndexList Indices::sizes(RankedTensorType type) {
  IndexList all;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    all.push_back(size(type, dim));
  return all;
}

Value Indices::product(ArrayRef<Value> sizes) {
  Value all = constant(1);
  for (Value size : sizes)
    all = mul(all, size);
  return all;
}

Value Indices::linear(ArrayRef<Value> at, ArrayRef<Value> sizes) {
  // What one number was split into next to each other is that number, of all their elements.
  IndexList joined, extents;
  for (auto [index, size] : llvm::zip_equal(at, sizes)) {
    if (known(size) == 1)
      continue;
    auto rest = index.getDefiningOp<arith::RemUIOp>();
    auto quotient =
        joined.empty() ? arith::DivUIOp() : joined.back().getDefiningOp<arith::DivUIOp>();
    if (quotient && rest && quotient.getLhs() == rest.getLhs() && quotient.getRhs() == size &&
        rest.getRhs() == size) {
      joined.back() = rest.getLhs();
      extents.back() = mul(extents.back(), size);
    } else {
      joined.push_back(index);
      extents.push_back(size);
    }
  }
  Value all = constant(0);
  for (auto [index, extent] : llvm::zip_equal(joined, extents))
    all = add(mul(all, extent), index);
  return all;
}

IndexList Indices::split(Value number, ArrayRef<Value> sizes) {
  IndexList at(sizes.size(), constant(0));
  int64_t first = 0;
  while (first < static_cast<int64_t>(sizes.size()) && known(sizes[first]) == 1)
    ++first;
  for (auto dim = static_cast<int64_t>(sizes.size()) - 1; dim >= first; --dim) {
    if (known(sizes[dim]) == 1)
      continue;
    at[dim] = dim == first ? number : rem(number, sizes[dim]);
    number = dim == first ? number : div(number, sizes[dim]);
  }
  return at;
}

Value Indices::floorDiv(Value l, Value r) {
  Value quotient = arith::DivSIOp::create(code.b, l, r);
  Value over = code.less(l, code.mul(quotient, r));
  return code.select(over, code.sub(quotient, code.c(1)), quotient);
}

/// Whether an expression of dimensions, which are not negative, is seen not to be negative either.
static bool isNotNegative(AffineExpr expression) {
  if (auto value = dyn_cast<AffineConstantExpr>(expression))
    return value.getValue() >= 0;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expression);
  return !binary || (isNotNegative(binary.getLHS()) && isNotNegative(binary.getRHS()));
}

Value Indices::evaluate(AffineExpr expression, ArrayRef<Value> dims) {
  if (auto dim = dyn_cast<AffineDimExpr>(expression))
    return dims[dim.getPosition()];
  if (auto value = dyn_cast<AffineConstantExpr>(expression))
    return constant(value.getValue());
  auto binary = cast<AffineBinaryOpExpr>(expression);
  Value l = evaluate(binary.getLHS(), dims), r = evaluate(binary.getRHS(), dims);
  switch (expression.getKind()) {
  case AffineExprKind::Add:
    return add(l, r);
  case AffineExprKind::Mul:
    return mul(l, r);
  case AffineExprKind::FloorDiv:
    return isNotNegative(binary) ? div(l, r) : floorDiv(l, r);
  case AffineExprKind::CeilDiv:
    return isNotNegative(binary) ? div(add(l, sub(r, constant(1))), r)
                                 : floorDiv(add(l, sub(r, constant(1))), r);
  case AffineExprKind::Mod:
    return isNotNegative(binary) ? rem(l, r) : sub(l, mul(floorDiv(l, r), r));
  default:
    llvm_unreachable("the kinds of binary expressions");
  }
}

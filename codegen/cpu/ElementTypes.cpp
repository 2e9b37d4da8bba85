// See ElementTypes.h.
#include "codegen/cpu/ElementTypes.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

static bool isByteFloat(Type type) {
  return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 8;
}

Type quern::cpu::memoryType(Type element) {
  MLIRContext *context = element.getContext();
  if (isByteFloat(element) || (element.isInteger() && element.getIntOrFloatBitWidth() < 8))
    return IntegerType::get(context, 8);
  if (element.isBF16())
    return IntegerType::get(context, 16);
  if (element.isIndex())
    return IntegerType::get(context, 64);
  return element;
}

Type quern::cpu::valueType(Type element) {
  if (isByteFloat(element))
    return IntegerType::get(element.getContext(), 8);
  if (element.isBF16() || element.isF16())
    return Float32Type::get(element.getContext());
  return element;
}

int64_t quern::cpu::elementBytes(Type element) {
  return memoryType(element).getIntOrFloatBitWidth() / 8;
}

Value quern::cpu::loadElement(Code &code, Type element, Value base, Value index) {
  Type memory = memoryType(element);
  Value value = code.load(memory, code.at(base, memory, index));
  if (element.isF16())
    return arith::ExtFOp::create(code.b, code.f32(), value);
  if (element.isBF16()) {
    Value bits = arith::ExtUIOp::create(code.b, code.i32(), value);
    bits = arith::ShLIOp::create(code.b, bits, code.c32(16));
    return arith::BitcastOp::create(code.b, code.f32(), bits);
  }
  Type type = valueType(element);
  if (type != memory)
    return arith::TruncIOp::create(code.b, type, value);
  return value;
}

void quern::cpu::storeElement(Code &code, Type element, Value value, Value base, Value index) {
  Type memory = memoryType(element);
  if (element.isF16()) {
    value = arith::TruncFOp::create(code.b, element, value);
  } else if (element.isBF16()) {
    Value bits = arith::BitcastOp::create(code.b, code.i32(), value);
    bits = arith::ShRUIOp::create(code.b, bits, code.c32(16));
    value = arith::TruncIOp::create(code.b, memory, bits);
  } else if (value.getType() != memory) {
    value = arith::ExtUIOp::create(code.b, memory, value);
  }
  code.store(value, code.at(base, memory, index));
}

Value quern::cpu::roundTo(Code &code, Type element, Value value) {
  if (!element.isF16() && !element.isBF16())
    return value;
  // To the nearest in one step: through float32 a tie could be made that was none.
  if (value.getType().isF64())
    value = code.call("qk_round_to_odd", {value});
  if (element.isBF16())
    return code.call("qk_round_bf16_quiet", {value});
  Value half = arith::TruncFOp::create(code.b, element, value);
  return arith::ExtFOp::create(code.b, code.f32(), half);
}

Value quern::cpu::constantElement(Code &code, Type element, Attribute value) {
  Type type = valueType(element);
  if (auto number = dyn_cast<FloatAttr>(value)) {
    APFloat exact = number.getValue();
    if (isByteFloat(element))
      return arith::ConstantOp::create(
          code.b, type, IntegerAttr::get(type, exact.bitcastToAPInt().zextOrTrunc(8)));
    bool lost;
    exact.convert(cast<FloatType>(type).getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    return arith::ConstantOp::create(code.b, type, FloatAttr::get(type, exact));
  }
  return arith::ConstantOp::create(code.b, cast<TypedAttr>(value));
}

Value quern::cpu::constantArray(Code &code, DenseElementsAttr elements) {
  Type element = elements.getElementType(), memory = memoryType(element);
  auto type = RankedTensorType::get({elements.getNumElements()}, memory);
  if (element == memory)
    return code.array(memory, elements.reshape(type));
  SmallVector<APInt> bits;
  const unsigned width = memory.getIntOrFloatBitWidth();
  if (isa<FloatType>(element))
    for (const APFloat &value : elements.getValues<APFloat>())
      bits.push_back(value.bitcastToAPInt().zextOrTrunc(width));
  else
    for (const APInt &value : elements.getValues<APInt>())
      bits.push_back(value.zextOrTrunc(width));
  return code.array(memory, DenseElementsAttr::get(type, bits));
}

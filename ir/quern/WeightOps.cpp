// Verifiers of weight and state declarations and of what is done to weights.
#include "ir/quern/QuernDialect.h"
#include "ir/quern/WeightRefs.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;

LogicalResult WeightOp::verify() {
  if (static_cast<int32_t>(getFile()) < -1)
    return emitOpError("C1: file is an index into quern.files, or -1");
  if (static_cast<int64_t>(getOffset()) < 0)
    return emitOpError("C2: offset is not negative");
  if (getCoded()) {
    const absl::StatusOr<weights::WeightRef> ref = weightRef(*this);
    const absl::Status status =
        ref.ok() ? weights::parts_of(*ref->coded, ref->shape).status() : ref.status();
    if (!status.ok())
      return emitOpError("C3: ") << std::string(status.message());
    if (!weights::can_hold(*ref->coded, ref->shape, ref->format))
      return emitOpError("C3: ") << getType().getFormat() << " does not hold such codes";
  }
  if (std::optional<ArrayRef<int64_t>> places = getPlaces()) {
    const auto parts = static_cast<int64_t>(places->size() / 2);
    bool ok = places->size() % 2 == 0 && parts > 0 && getType().getShape().front() % parts == 0 &&
              !getCoded();
    for (int64_t i = 0; ok && i < parts; ++i)
      ok = (*places)[2 * i] >= 0 && (*places)[2 * i + 1] >= 0;
    if (!ok || (*places)[0] != static_cast<int64_t>(static_cast<int32_t>(getFile())) ||
        (*places)[1] != static_cast<int64_t>(getOffset()))
      return emitOpError("C4: places are pairs of a file and an offset, the first of them `file` "
                         "and `offset`, and divide the first dimension");
  }
  return success();
}

LogicalResult PackedOp::verify() {
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  if (yield.getNumOperands() != 1 || yield.getOperand(0).getType() != getType())
    return emitOpError("C1: the body yields one weight of type ") << getType();
  return success();
}

LogicalResult WeightRefOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *def = symbols.lookupNearestSymbolFrom(*this, getNameAttr());
  Type type;
  if (auto weight = dyn_cast_or_null<WeightOp>(def))
    type = weight.getType();
  else if (auto packed = dyn_cast_or_null<PackedOp>(def))
    type = packed.getType();
  else
    return emitOpError("C1: ") << getNameAttr() << " is no declared weight";
  if (type != getType())
    return emitOpError("C1: ") << getNameAttr() << " is declared as " << type;
  return success();
}

LogicalResult StateRefOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto def =
      dyn_cast_or_null<DeclareStateOp>(symbols.lookupNearestSymbolFrom(*this, getNameAttr()));
  if (!def)
    return emitOpError("C1: ") << getNameAttr() << " is no declared state";
  if (def.getType() != getType())
    return emitOpError("C1: ") << getNameAttr() << " is declared as " << def.getType();
  return success();
}

LogicalResult WeightConcatOp::verify() {
  if (getInputs().empty())
    return emitOpError("C1: at least one input");
  WeightType result = getType();
  const uint64_t axis = getAxis();
  if (axis > 1 || axis >= result.getShape().size())
    return emitOpError("C2: the axis is 0 or 1, and one of the result's");
  auto otherDims = [&](WeightType type) {
    SmallVector<int64_t> dims(type.getShape());
    if (axis < dims.size())
      dims[axis] = 0;
    return dims;
  };
  int64_t rows = 0;
  for (Value input : getInputs()) {
    auto type = cast<WeightType>(input.getType());
    if (type.getFormat() != result.getFormat() || otherDims(type) != otherDims(result))
      return emitOpError("C2: inputs agree with the result but for their rows");
    rows += type.getShape()[axis];
  }
  if (rows != result.getShape()[axis])
    return emitOpError("C3: the inputs have ") << rows << " rows together";
  return success();
}

LogicalResult WeightConvertOp::verify() {
  if (getInput().getType().getShape() != getType().getShape())
    return emitOpError("C1: input and result have the same shape");
  return success();
}

LogicalResult WeightMapOp::verify() {
  if (getFn() != "neg_exp" && getFn() != "add_one" && getFn() != "softplus" && getFn() != "scale" &&
      getFn() != "cumulated_softmax")
    return emitOpError("C1: fn is neg_exp, add_one, softplus, scale or cumulated_softmax");
  if ((getFn() == "scale") != getFactor().has_value())
    return emitOpError("C1: there is a factor beside scale alone");
  if (getType().getFormat() != "f32" || getType().getShape() != getInput().getType().getShape())
    return emitOpError("C2: the result is f32 of the input's shape");
  if (getFn() == "cumulated_softmax" && getType().getShape().size() != 2)
    return emitOpError("C3: cumulated_softmax is of a matrix");
  return success();
}

LogicalResult WeightReshapeOp::verify() {
  auto count = [](WeightType type) {
    return std::accumulate(type.getShape().begin(), type.getShape().end(), int64_t(1),
                           std::multiplies<>());
  };
  if (count(getInput().getType()) != count(getType()) ||
      getInput().getType().getFormat() != getType().getFormat())
    return emitOpError("C1: element counts and formats agree");
  return success();
}

LogicalResult WeightTransposeOp::verify() {
  WeightType from = getInput().getType(), to = getType();
  SmallVector<int64_t> turned(from.getShape());
  if (turned.size() == 2 || turned.size() == 3)
    std::swap(turned[turned.size() - 2], turned.back());
  else
    turned.clear();
  if (ArrayRef(turned) != to.getShape() || from.getFormat() != to.getFormat())
    return emitOpError("C1: the input is [K, N], the result [N, K] of the same format, of each of "
                       "the first dimension where there are three");
  return success();
}

int64_t WeightRowsOp::blockRows() {
  return getBlock() ? static_cast<int64_t>(getBlock()) : getType().getShape().front();
}
int64_t WeightRowsOp::strideRows() {
  return getStride() ? static_cast<int64_t>(getStride()) : blockRows();
}

LogicalResult WeightRowsOp::verify() {
  WeightType from = getInput().getType(), to = getType();
  const int64_t offset = getOffset(), block = blockRows(), stride = strideRows();
  if (offset < 0 || block < 0 || stride < block)
    return emitOpError("C1: offset and block are not negative and stride is not less than block");
  if (from.getFormat() != to.getFormat() ||
      from.getShape().drop_front() != to.getShape().drop_front())
    return emitOpError("C2: the result agrees with the input but for its rows");
  const int64_t rows = to.getShape().front(), all = from.getShape().front();
  // The last block ends at offset + (rows / block - 1) * stride + block; no step here overflows.
  if (rows % block || offset > all || block > all - offset ||
      (stride > 0 && rows / block - 1 > (all - offset - block) / stride))
    return emitOpError("C3: the rows are blocks of ")
           << block << " that lie inside the input's " << all;
  return success();
}

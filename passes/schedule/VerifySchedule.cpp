// --quern-verify-schedule: what holds after the schedule phase.
#include "ir/formats/Packing.h"
#include "passes/analysis/Buffers.h"
#include "passes/schedule/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYSCHEDULE
#include "passes/schedule/Passes.h.inc"

namespace {

LogicalResult verifyPacked(PackedOp packed) {
  WeightType type = packed.getType();
  if (packed.getPacking() == "rows") {
    if (type.getFormat() != "f32")
      return packed.emitOpError("is packed as plain rows and must be f32, not ")
             << type.getFormat();
    return success();
  }
  const formats::Format *format = formats::find_format(type.getFormat().getValue());
  if (!format || formats::packing_name(format->packing()) != packed.getPacking())
    return packed.emitOpError("has packing \"")
           << packed.getPacking() << "\", which is not that of format " << type.getFormat();
  if (type.getShape().size() != 2 && type.getShape().size() != 3)
    return packed.emitOpError("has panels of a matrix, or of one an expert; its shape has ")
           << type.getShape().size() << " dimensions";
  return success();
}

/// The runtime's limit of an arena, and of a tensor.
constexpr int64_t kMostBytes = int64_t{1} << 46;

/// The sizes that the type's dimensions depend on, with their greatest values: what to bound.
std::string sizesIn(Type type, const symbols::Maxima &sizes) {
  std::string list;
  for (const auto &[size, most] : sizes)
    for (StringAttr name : dimNames(type))
      if (auto dim = dimOf(name.getValue(), sizes); dim && dim->symbols().contains(size)) {
        list += (list.empty() ? "" : ", ") + size + " = " + std::to_string(most);
        break;
      }
  return list;
}

LogicalResult verifySize(Type type, const BucketShape &shape, const std::string &what,
                         llvm::function_ref<InFlightDiagnostic()> error) {
  if (!isa<RankedTensorType, Q8RowsType>(type) || bufferBytes(type, shape) <= kMostBytes)
    return success();
  InFlightDiagnostic diagnostic = error();
  diagnostic << what << ", " << type << ", is larger than " << (kMostBytes >> 40) << " TiB";
  if (const std::string sizes = sizesIn(type, shape.sizes); !sizes.empty())
    diagnostic << " at the greatest sizes, " << sizes << "; bound them: --dim NAME=MAX";
  else
    diagnostic << "; no machine runs that: take a model whose tensors fit";
  return diagnostic;
}

LogicalResult verifySizes(func::FuncOp bucket, const BucketShape &shape) {
  for (auto dispatch : bucket.getOps<DispatchOp>())
    for (Type type : dispatch.getResultTypes())
      if (failed(verifySize(type, shape, "what '" + dispatch.getLabel().str() + "' computes",
                            [&] { return dispatch.emitError(); })))
        return failure();
  for (auto [index, type] : llvm::enumerate(bucket.getArgumentTypes()))
    if (failed(verifySize(type, shape, "input " + std::to_string(index),
                          [&] { return bucket.emitError(); })))
      return failure();
  return success();
}

LogicalResult verifyBucket(func::FuncOp bucket, SymbolTable &symbols,
                           DenseSet<Operation *> &dispatched) {
  FailureOr<BucketShape> shape = bucketShape(bucket);
  if (failed(shape) || failed(verifySizes(bucket, *shape)))
    return failure();
  for (Operation &op : bucket.getBody().front()) {
    if (auto dispatch = dyn_cast<DispatchOp>(op)) {
      dispatched.insert(symbols.lookup(dispatch.getKernel()));
    } else if (auto weight = dyn_cast<WeightRefOp>(op)) {
      if (!symbols.lookup<PackedOp>(weight.getName()))
        return op.emitOpError("names a weight of the model's files; a schedule reads packed ones");
    } else if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      llvm::SmallDenseSet<Value> seen;
      for (Value value : ret.getOperands()) {
        if (!value.getDefiningOp<DispatchOp>())
          return op.emitOpError("returns what no dispatch computes");
        if (!seen.insert(value).second)
          return op.emitOpError("returns twice what a dispatch computes into one result");
      }
    } else if (!isa<StateRefOp>(op)) {
      return op.emitOpError(
          "is not legal in a schedule: references, dispatches and the return are");
    }
  }
  return success();
}

struct VerifySchedulePass : impl::VerifyScheduleBase<VerifySchedulePass> {
  void runOnOperation() override {
    if (failed(verify()))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

  LogicalResult verify() {
    SymbolTable symbols(getOperation());
    for (func::FuncOp entry : entriesOf(getOperation()))
      return entry.emitError("is no bucket; after schedule every function is one");
    for (auto packed : getOperation().getOps<PackedOp>())
      if (failed(verifyPacked(packed)))
        return failure();
    DenseSet<Operation *> dispatched;
    for (func::FuncOp bucket : bucketsOf(getOperation()))
      if (failed(verifyBucket(bucket, symbols, dispatched)))
        return failure();
    for (auto kernel : getOperation().getOps<KernelOp>())
      if (!dispatched.contains(kernel))
        return kernel.emitOpError("is never dispatched");
    return success();
  }
};

} // namespace
} // namespace quern

#include "compiler/driver/ProveCalls.h"

#include "ir/reference/Interpreter.h"
#include "ir/reference/Sizes.h"
#include "ir/reference/Trials.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/Sizes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <algorithm>
#include <cstring>

namespace quern::driver {
namespace {

constexpr uint64_t kSeed = 1;
// What the interpreter does in a few seconds: multiply-adds of products, turns of other loops.
constexpr double kMostWork = 5e8;
// Of outputs that went through types of 16 bits.
constexpr float kHalfTolerance = 0.05f;

/// The length of a loop of a linalg op.
double length_of(mlir::linalg::LinalgOp op, unsigned loop, int64_t fixed, reference::Sizes &sizes) {
  if (!mlir::ShapedType::isDynamic(fixed))
    return static_cast<double>(fixed);
  mlir::Value operand;
  unsigned position;
  if (mlir::failed(op.mapIterationSpaceDimToOperandDim(loop, operand, position)))
    return 1;
  const auto shape = sizes.shape(mlir::cast<mlir::RankedTensorType>(operand.getType()));
  return shape.ok() ? static_cast<double>((*shape)[position]) : 1;
}

double work_of(mlir::Operation *op, reference::Sizes &sizes) {
  double work = 1;
  if (auto loops = mlir::dyn_cast<mlir::linalg::LinalgOp>(op)) {
    const auto ranges = loops.getStaticLoopRanges();
    for (unsigned i = 0; i < ranges.size(); ++i)
      work *= length_of(loops, i, ranges[i], sizes);
  } else if (auto linear = mlir::dyn_cast<LinearOp>(op)) {
    for (const int64_t dim : linear.getWeight().getType().getShape())
      work *= static_cast<double>(dim);
    const auto rows = sizes.of(rowsOf(linear.getType()));
    work *= rows.ok() ? static_cast<double>(*rows) : 1;
  }
  return work;
}

double work_of(mlir::func::FuncOp bucket, reference::Sizes &sizes) {
  double work = 0;
  for (auto dispatch : bucket.getOps<DispatchOp>())
    if (auto kernel = mlir::SymbolTable::lookupNearestSymbolFrom<KernelOp>(
            dispatch, dispatch.getKernelAttr()))
      for (mlir::Operation &op : kernel.getBody().front())
        work += work_of(&op, sizes);
  return work;
}

/// Elements as they lie in memory.
artifact::ProofContents::Tensor stored(reference::Tensor tensor) {
  artifact::ProofContents::Tensor out;
  out.shape = tensor.shape;
  const auto bytes = static_cast<size_t>(elementBytes(tensor.element));
  out.elements.resize(static_cast<size_t>(tensor.count()) * bytes);
  if (tensor.is_float())
    reference::round_to(mlir::cast<mlir::FloatType>(tensor.element), tensor.floats);
  for (size_t i = 0; i < static_cast<size_t>(tensor.count()); ++i) {
    const int64_t bits = tensor.is_float()
                             ? reference::float_to_bits(mlir::cast<mlir::FloatType>(tensor.element),
                                                        tensor.floats[i])
                             : tensor.ints[i];
    std::memcpy(&out.elements[i * bytes], &bits, bytes);
  }
  return out;
}

bool has_halves(mlir::ModuleOp planned) {
  return planned
      .walk([](mlir::Operation *op) {
        return llvm::any_of(op->getResultTypes(),
                            [](mlir::Type type) {
                              const mlir::Type element = mlir::getElementTypeOrSelf(type);
                              return mlir::isa<mlir::FloatType>(element) &&
                                     element.getIntOrFloatBitWidth() < 32;
                            })
                   ? mlir::WalkResult::interrupt()
                   : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

} // namespace

absl::Status prove_calls(artifact::ProofContents &proof, mlir::ModuleOp planned,
                         const artifact::PackedRows &weights, float tolerance, int threads) {
  for (mlir::func::FuncOp bucket : bucketsOf(planned)) {
    if (!bucket->hasAttr(attrs::kSized))
      continue;
    const std::string entry = bucket->getAttrOfType<mlir::StringAttr>(attrs::kEntry).str();
    if (entry == "encode" && !proof.logits.empty()) // fill_logits has called it
      continue;
    auto trials = reference::trials(planned, kSeed);
    if (!trials.ok() || !trials->contains(entry))
      continue;
    const reference::Trial &trial = trials->at(entry).front();
    auto sizes = reference::bind_sizes(bucket, trial.inputs);
    if (!sizes.ok() || work_of(bucket, *sizes) > kMostWork)
      continue;
    auto interpreter =
        reference::Interpreter::create(planned, {.threads = threads, .packed = weights});
    if (!interpreter.ok())
      return interpreter.status();
    auto outputs = (*interpreter)->call(entry, trial.inputs);
    if (absl::IsOutOfRange(outputs.status())) { // perhaps what they index is small
      calm(*trials);
      outputs = (*interpreter)->call(entry, trial.inputs);
    }
    if (!outputs.ok())
      continue;
    artifact::ProofContents::Call &call = proof.calls.emplace_back();
    call.entry = entry;
    call.tolerance = has_halves(planned) ? std::max(tolerance, kHalfTolerance) : tolerance;
    for (const reference::Tensor &tensor : trial.inputs)
      call.inputs.push_back(stored(tensor));
    for (const reference::Tensor &tensor : *outputs)
      call.outputs.push_back(stored(tensor));
  }
  return absl::OkStatus();
}

} // namespace quern::driver

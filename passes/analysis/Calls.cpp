#include "passes/analysis/Calls.h"

#include "passes/analysis/FaultSites.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace quern {
namespace {

using Base = Operand::Base;

/// Reads a schedule from its first dispatch to its last.
class Reader {
public:
  Reader(func::FuncOp bucket, const SymbolTable &symbols) : bucket(bucket), symbols(symbols) {}

  FailureOr<std::vector<Call>> read() {
    readArguments();
    for (Operation &inner : bucket.getBody().front())
      if (failed(read(inner)))
        return failure();
    return std::move(calls);
  }

private:
  void readArguments() {
    unsigned inputs = 0;
    for (BlockArgument arg : bucket.getArguments()) {
      if (isa<BatchType>(arg.getType()))
        places[arg] = {};
      else if (isIndices(arg.getType()) && rowsOf(arg.getType()) == "R")
        places[arg] = {{Base::Rows}};
      else
        places[arg] = {{Base::Input, 0, inputs++}};
    }
  }

  LogicalResult read(Operation &inner) {
    if (auto ref = dyn_cast<WeightRefOp>(inner)) {
      auto packed = symbols.lookup<PackedOp>(ref.getName());
      if (!packed || !packed.getOffset())
        return ref.emitError("a planned weight has an offset");
      places[ref.getResult()] = {{Base::Weights, static_cast<int64_t>(*packed.getOffset())}};
    } else if (auto ref = dyn_cast<StateRefOp>(inner)) {
      auto state = symbols.lookup<DeclareStateOp>(ref.getName());
      if (!state || !state.getOffset())
        return ref.emitError("a planned state has an offset");
      places[ref.getResult()] = {{Base::None, static_cast<int64_t>(state.getGroup().value_or(0))},
                                 {Base::None, static_cast<int64_t>(*state.getOffset())}};
    } else if (auto dispatch = dyn_cast<DispatchOp>(inner)) {
      return read(dispatch);
    } else if (!isa<func::ReturnOp, RepeatOp>(inner)) {
      return inner.emitError("a schedule holds dispatches only");
    }
    return success();
  }

  LogicalResult read(DispatchOp dispatch) {
    if (!dispatch.getOffsets())
      return dispatch.emitOpError("has no offsets: its results have no place in the arena");
    Call call;
    call.dispatch = dispatch;
    call.kernel = symbols.lookup<KernelOp>(dispatch.getKernel());
    call.barrier = dispatch.getBarrier();
    call.replicated = dispatch.getReplicated();
    call.last = dispatch.getArgmax();
    for (mlir::Value input : dispatch.getInputs())
      llvm::append_range(call.operands, places[input]);
    auto returned = bucket.getBody().front().getTerminator()->getOperands();
    for (auto [value, offset] : llvm::zip(dispatch.getResults(), *dispatch.getOffsets())) {
      if (offset >= 0)
        places[value] = {{call.replicated ? Base::Replicated : Base::Arena, offset}};
      else
        places[value] = {{Base::Output, 0,
                          static_cast<unsigned>(llvm::find(returned, value) - returned.begin())}};
      call.operands.push_back(places[value].front());
    }
    if (std::optional<uint64_t> scratch = dispatch.getScratch())
      call.operands.push_back({Base::Arena, static_cast<int64_t>(*scratch)});
    if (call.kernel && !faultSites(call.kernel).empty())
      call.operands.push_back({Base::None, static_cast<int64_t>(calls.size())});
    calls.push_back(std::move(call));
    return success();
  }

  func::FuncOp bucket;
  const SymbolTable &symbols;
  llvm::DenseMap<mlir::Value, SmallVector<Operand, 2>> places; // where each value lies
  std::vector<Call> calls;
};

} // namespace

std::string Call::difference(const Call &other) const {
  if (kernel != other.kernel)
    return "another kernel";
  if (barrier != other.barrier)
    return "a barrier before one of them";
  if (replicated != other.replicated)
    return "one that every worker computes";
  if (last != other.last)
    return "one whose result is all that the entry gives";
  if (operands.size() != other.operands.size())
    return "another number of operands";
  for (const auto &[i, mine, its] : llvm::enumerate(operands, other.operands))
    if (mine.base != its.base || mine.index != its.index)
      return ("operand " + Twine(i) + " in other memory").str();
  return {};
}

FailureOr<std::vector<Call>> callsOf(func::FuncOp bucket, const SymbolTable &symbols) {
  return Reader(bucket, symbols).read();
}

} // namespace quern

// --quern-verify-order: what holds after the order phase.
#include "passes/analysis/Remarks.h"
#include "passes/order/Accesses.h"
#include "passes/order/Passes.h"
#include "passes/target/Target.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYORDER
#include "passes/order/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"order", "verify-order"};

using order::Access;

/// A call of a bucket and all that it touches.
struct Touching {
  DispatchOp dispatch;
  std::vector<Access> accesses;
};

/// Two accesses of two calls that must not run together.
struct Hazard {
  DispatchOp first;
  Access its;  ///< the first's
  Access mine; ///< the second's
};

std::optional<Hazard> hazardBetween(ArrayRef<Touching> earlier, const Touching &now) {
  for (const Touching &other : earlier)
    for (const Access &its : other.accesses)
      for (const Access &mine : now.accesses)
        if (order::conflict(its, mine))
          return Hazard{other.dispatch, its, mine};
  return std::nullopt;
}

/// Of one bucket.
class Verifier {
public:
  Verifier(func::FuncOp bucket, ArrayRef<Call> calls, const BucketShape &shape, int64_t arena)
      : bucket(bucket), calls(calls), shape(shape), arena(arena), target(target::of(bucket)) {}

  LogicalResult verify() {
    for (const Call &call : calls) {
      FailureOr<std::vector<Access>> accesses = order::accessesOf(call, shape);
      if (failed(accesses))
        return failure();
      touching.push_back({call.dispatch, *std::move(accesses)});
      if (call.replicated && failed(verifyReplicated(call, touching.back().accesses)))
        return failure();
    }
    if (failed(verifyBarriers()) || failed(verifyArgmax()) || failed(verifyRepeats()))
      return failure();
    return success();
  }

private:
  LogicalResult verifyReplicated(const Call &call, ArrayRef<Access> accesses) {
    DispatchOp dispatch = call.dispatch;
    KernelOp kernel = call.kernel;
    // What it does comes before what the target says of it: it is wrong for every target.
    for (const Access &access : accesses)
      if (access.write && access.space != Access::Space::Own)
        return dispatch.emitOpError("is replicated and writes ")
               << access.where() << ", which all workers share";
    if (!shape.single())
      return dispatch.emitOpError("is replicated in a bucket of more than one token");
    if (!target.traits(kernel.getAnchor()).replicable)
      return dispatch.emitOpError("is replicated, which ")
             << stringifyAnchor(kernel.getAnchor()) << " kernels of the target " << target.name
             << " are not";
    if (arena > target.replicatedArena)
      return dispatch.emitOpError("is replicated, so that every worker needs an arena of ")
             << arena << " bytes; the target " << target.name << " has " << target.replicatedArena
             << " for it";
    return success();
  }

  /// Replays the bucket from barrier to barrier.
  LogicalResult verifyBarriers() {
    int64_t count = 0;
    ArrayRef<Touching> all = touching;
    size_t begin = 0, before = 0; // of the calls since the last barrier, and since that before it
    bool needed = true;           // the last barrier is
    for (size_t i = 0; i < all.size(); ++i) {
      if (calls[i].barrier) {
        noteUnlessNeeded(needed, begin);
        before = begin;
        begin = i;
        needed = false;
        ++count;
      }
      if (std::optional<Hazard> hazard = hazardBetween(all.slice(begin, i - begin), all[i]))
        return diagnose(*hazard, all[i].dispatch);
      needed = needed || hazardBetween(all.slice(before, begin - before), all[i]);
    }
    noteUnlessNeeded(needed, begin);
    auto said = bucket->getAttrOfType<IntegerAttr>(attrs::kBarriers);
    if (!said)
      return bucket.emitError("has no `")
             << attrs::kBarriers << "`: --quern-place-barriers has not seen it";
    if (said.getInt() != count)
      return bucket.emitError("has ") << count << " barriers, not the " << said.getInt() << " of `"
                                      << attrs::kBarriers << "`";
    return success();
  }

  LogicalResult diagnose(Hazard hazard, DispatchOp now) {
    auto does = [](const Access &access) { return access.write ? "writes " : "reads "; };
    InFlightDiagnostic diagnostic = now.emitOpError("needs a barrier before it: it ")
                                    << does(hazard.mine) << hazard.mine.where();
    diagnostic.attachNote(hazard.first.getLoc())
        << "this, since the barrier before, " << does(hazard.its) << hazard.its.where();
    return diagnostic;
  }

  void noteUnlessNeeded(bool needed, size_t barrier) {
    if (!needed)
      kRemarks.miss(calls[barrier].dispatch)
          << say("{0}: nobody needs to wait before \"{1}\"", bucket.getName(),
                 DispatchOp(calls[barrier].dispatch).getLabel());
  }

  /// The runtime asks for the largest column wherever a step is of one token and gives one row.
  LogicalResult verifyArgmax() {
    auto returned = bucket.getBody().front().getTerminator()->getOperands();
    const bool single = shape.single() && returned.size() == 1;
    for (const Call &call : calls) {
      DispatchOp dispatch = call.dispatch;
      const bool gives =
          single && dispatch->getNumResults() == 1 && dispatch->getResult(0) == returned.front();
      if (gives != call.last)
        return dispatch.emitOpError(
            gives ? "gives all of a token's step and is not marked `argmax`"
                  : "is marked `argmax` and does not give all of a token's step");
    }
    return success();
  }

  LogicalResult verifyRepeats() {
    size_t next = 0, end = 0; // the next dispatch, and where the repeat before ends
    for (Operation &op : bucket.getBody().front()) {
      if (isa<DispatchOp>(op))
        ++next;
      auto repeat = dyn_cast<RepeatOp>(op);
      if (!repeat)
        continue;
      if (next < end)
        return repeat.emitOpError("stands among the dispatches of another");
      const size_t left = calls.size() - next, period = repeat.getPeriod();
      if (period > left || repeat.getTurns() > left / period)
        return repeat.emitOpError("speaks of ")
               << repeat.getTurns() << " times " << period << " dispatches; " << left << " follow";
      end = next + period * repeat.getTurns();
      for (size_t i = next + period; i < end; ++i)
        if (failed(verifyAlike(repeat, calls[i - period], calls[i])))
          return failure();
    }
    return success();
  }

  static LogicalResult verifyAlike(RepeatOp repeat, const Call &before, const Call &now) {
    const std::string difference = now.difference(before);
    if (difference.empty())
      return success();
    InFlightDiagnostic diagnostic =
        DispatchOp(now.dispatch).emitOpError("is not like its counterpart in the turn before: ")
        << difference;
    diagnostic.attachNote(DispatchOp(before.dispatch).getLoc()) << "that is this";
    diagnostic.attachNote(repeat.getLoc()) << "they are alike, says this";
    return diagnostic;
  }

  func::FuncOp bucket;
  ArrayRef<Call> calls;
  const BucketShape &shape;
  int64_t arena;
  const target::Target &target;
  std::vector<Touching> touching; // the calls
};

struct VerifyOrderPass : impl::VerifyOrderBase<VerifyOrderPass> {
  void runOnOperation() override {
    const SymbolTable symbols(getOperation());
    for (func::FuncOp bucket : bucketsOf(getOperation()))
      if (failed(verify(bucket, symbols)))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }

  static LogicalResult verify(func::FuncOp bucket, const SymbolTable &symbols) {
    FailureOr<BucketShape> shape = bucketShape(bucket);
    if (failed(shape))
      return failure();
    auto arena = bucket->getAttrOfType<IntegerAttr>(attrs::kArena);
    if (!arena)
      return bucket.emitError("has no `") << attrs::kArena << "`; the plan phase sets it";
    FailureOr<std::vector<Call>> calls = callsOf(bucket, symbols);
    if (failed(calls))
      return failure();
    return Verifier(bucket, *calls, *shape, arena.getInt()).verify();
  }
};

} // namespace
} // namespace quern

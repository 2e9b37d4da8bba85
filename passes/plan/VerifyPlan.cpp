// --quern-verify-plan: what holds after the plan phase.
#include "passes/analysis/Buffers.h"
#include "passes/analysis/Windows.h"
#include "passes/plan/Passes.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYPLAN
#include "passes/plan/Passes.h.inc"

namespace {

/// A place: where it begins and ends, and what lies there.
struct Place {
  int64_t begin;
  int64_t end;
  Operation *op;
};

/// The size that `name` says; an error on `op` where it does not.
FailureOr<int64_t> sizeAttr(Operation *op, StringRef name) {
  auto attr = op->getAttrOfType<IntegerAttr>(name);
  if (!attr || attr.getInt() < 0)
    return op->emitError("has no `") << name << "`; the plan phase sets it";
  return attr.getInt();
}

/// Places are aligned, end inside `size` and are disjoint.
LogicalResult verifyDisjoint(std::vector<Place> places, int64_t size, StringRef where) {
  llvm::sort(places, [](const Place &a, const Place &b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  for (auto [i, place] : llvm::enumerate(places)) {
    if (place.begin < 0 || place.begin % kBufferAlignment != 0)
      return place.op->emitOpError("has offset ")
             << place.begin << ", no multiple of " << kBufferAlignment;
    if (place.end > size)
      return place.op->emitOpError("ends at byte ")
             << place.end << " of " << where << ", which has " << size;
    if (i && places[i - 1].end > place.begin) {
      InFlightDiagnostic diagnostic = place.op->emitOpError("lies at bytes ")
                                      << place.begin << " to " << place.end << " of " << where
                                      << ", where something else does";
      diagnostic.attachNote(places[i - 1].op->getLoc())
          << "this, at bytes " << places[i - 1].begin << " to " << places[i - 1].end;
      return diagnostic;
    }
  }
  return success();
}

LogicalResult verifyWeights(ModuleOp module) {
  FailureOr<int64_t> size = sizeAttr(module, attrs::kWeightsBytes);
  if (failed(size))
    return failure();
  if (*size % kSectionAlignment != 0)
    return module.emitError("the weights section ends on a multiple of ") << kSectionAlignment;
  std::vector<Place> places;
  for (auto packed : module.getOps<PackedOp>()) {
    if (!packed.getOffset() || !packed.getBytes())
      return packed.emitOpError("has no place in the weights section");
    int64_t begin = *packed.getOffset(), bytes = *packed.getBytes();
    if (bytes != packedBytes(packed))
      return packed.emitOpError("has ") << packedBytes(packed) << " bytes, not " << bytes;
    places.push_back({begin, begin + bytes, packed});
  }
  return verifyDisjoint(std::move(places), *size, "the weights section");
}

LogicalResult verifyStates(ModuleOp module) {
  FailureOr<int64_t> slot = sizeAttr(module, attrs::kSlotBytes);
  auto pages = module->getAttrOfType<DenseI64ArrayAttr>(attrs::kPageBytes);
  auto windows = module->getAttrOfType<DenseI64ArrayAttr>(attrs::kKvWindows);
  if (failed(slot) || !pages || !windows)
    return module.emitError("has no `") << attrs::kSlotBytes << "`, `" << attrs::kPageBytes
                                        << "` or `" << attrs::kKvWindows << "`";
  if (windows.size() != pages.size())
    return module.emitError("has ")
           << pages.size() << " page sizes and " << windows.size() << " windows of kv groups";
  std::vector<Place> fixed;
  std::vector<std::vector<Place>> groups(pages.size());
  for (auto state : module.getOps<DeclareStateOp>()) {
    auto type = cast<StateType>(state.getType());
    if (!state.getOffset())
      return state.emitOpError("has no place");
    int64_t begin = *state.getOffset();
    Place place{begin, begin + stateBytes(type), state};
    if (type.getKind() != StateKind::kv) {
      fixed.push_back(place);
      continue;
    }
    if (!state.getGroup() || *state.getGroup() >= groups.size())
      return state.emitOpError("is of a kv group that has no page size");
    groups[*state.getGroup()].push_back(place);
  }
  if (failed(verifyDisjoint(std::move(fixed), *slot, "a slot")))
    return failure();
  for (auto [index, places] : llvm::enumerate(groups))
    if (failed(verifyDisjoint(std::move(places), pages[index], "a page")))
      return failure();
  return success();
}

/// Every position of a kv state that the bucket sees is one that the state's group keeps.
LogicalResult verifyWindows(func::FuncOp bucket) {
  auto windows =
      bucket->getParentOfType<ModuleOp>()->getAttrOfType<DenseI64ArrayAttr>(attrs::kKvWindows);
  for (auto ref : bucket.getOps<StateRefOp>())
    for (OpOperand &use : ref->getUses())
      if (std::optional<StateUse> reading = readingOf(use);
          reading && ref.getType().getKind() == StateKind::kv) {
        auto state = SymbolTable::lookupNearestSymbolFrom<DeclareStateOp>(ref, ref.getNameAttr());
        int64_t kept = windows[*state.getGroup()], seen = reading->window;
        if (kept != 0 && (seen == 0 || seen > kept))
          return use.getOwner()->emitOpError("has attention that sees ")
                 << (seen == 0 ? "all" : std::to_string(seen)) << " positions of " << ref.getName()
                 << ", whose kv group keeps " << kept;
      }
  return success();
}

/// Replays the schedule: what is live at each dispatch, found from uses alone.
LogicalResult verifyArena(func::FuncOp bucket) {
  FailureOr<BucketShape> shape = bucketShape(bucket);
  FailureOr<int64_t> arena = sizeAttr(bucket, attrs::kArena),
                     bound = sizeAttr(bucket, attrs::kArenaBound);
  if (failed(shape) || failed(arena) || failed(bound))
    return failure();
  llvm::MapVector<Value, Place> live;
  int64_t most = 0;
  for (Operation &op : bucket.getBody().front()) {
    auto dispatch = dyn_cast<DispatchOp>(op);
    if (!dispatch)
      continue;
    if (!dispatch.getOffsets())
      return op.emitOpError("has no offsets: its results have no place in the arena");
    for (auto [result, offset] : llvm::zip(op.getOpResults(), *dispatch.getOffsets())) {
      bool returned = llvm::any_of(result.getUsers(),
                                   [](Operation *user) { return isa<func::ReturnOp>(user); });
      if (returned != (offset == -1))
        return op.emitOpError(
            returned ? "has a place in the arena for a result of the entry, which lies in the "
                       "caller's memory"
                     : "has no place in the arena for a result that is not the entry's");
      if (!returned)
        live.insert({result, {offset, offset + bufferBytes(result.getType(), *shape), &op}});
    }
    int64_t bytes = scratchBytes(dispatch, *shape);
    std::vector<Place> places;
    if ((bytes != 0) != dispatch.getScratch().has_value())
      return op.emitOpError(bytes != 0 ? "has no place for its scratch memory"
                                       : "has a place for scratch memory that it does not need");
    if (bytes != 0)
      places.push_back({static_cast<int64_t>(*dispatch.getScratch()),
                        static_cast<int64_t>(*dispatch.getScratch()) + bytes, &op});
    for (auto &[value, place] : live) {
      bytes += place.end - place.begin;
      places.push_back(place);
    }
    most = std::max(most, bytes);
    if (failed(verifyDisjoint(std::move(places), *arena, "the arena")))
      return failure();
    live.remove_if([&](const auto &entry) {
      return llvm::none_of(entry.first.getUsers(),
                           [&](Operation *user) { return op.isBeforeInBlock(user); });
    });
  }
  if (most != *bound)
    return bucket.emitError("has an arena bound of ")
           << *bound << " bytes; " << most << " are live at once";
  if (*arena > *bound + *bound / 100)
    bucket.emitWarning("has an arena of ")
        << *arena << " bytes, more than 1 % above the " << *bound << " that are live at once";
  return success();
}

struct VerifyPlanPass : impl::VerifyPlanBase<VerifyPlanPass> {
  void runOnOperation() override {
    if (failed(verifyWeights(getOperation())) || failed(verifyStates(getOperation())))
      return signalPassFailure();
    for (func::FuncOp bucket : bucketsOf(getOperation()))
      if (failed(verifyWindows(bucket)) || failed(verifyArena(bucket)))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace quern

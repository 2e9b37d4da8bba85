#include "codegen/artifact/Plan.h"

#include "runtime/abi/StepArgs.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::artifact {
namespace {

absl::StatusOr<uint64_t> number(mlir::Operation *op, llvm::StringRef attribute) {
  if (auto value = op->getAttrOfType<mlir::IntegerAttr>(attribute))
    if (!value.getValue().isNegative())
      return value.getValue().getZExtValue();
  return absl::InternalError(absl::StrCat("the plan phase left no ", attribute.str(), " on ",
                                          op->getName().getStringRef().str()));
}

absl::StatusOr<std::string> text(mlir::Operation *op, llvm::StringRef attribute) {
  if (auto value = op->getAttrOfType<mlir::StringAttr>(attribute))
    return value.str();
  return absl::InternalError(absl::StrCat("a bucket has no ", attribute.str()));
}

} // namespace

absl::StatusOr<std::vector<PlannedBucket>> planned_buckets(mlir::ModuleOp planned) {
  std::vector<PlannedBucket> buckets;
  for (mlir::func::FuncOp func : bucketsOf(planned)) {
    PlannedBucket bucket;
    bucket.func = func;
    for (auto [attribute, field] :
         {std::pair{attrs::kEntry, &bucket.entry}, std::pair{attrs::kBucket, &bucket.name}}) {
      auto value = text(func, attribute);
      if (!value.ok())
        return value.status();
      *field = *value;
    }
    for (auto [attribute, field] : {std::pair{attrs::kArena, &bucket.arena},
                                    std::pair{attrs::kArenaBound, &bucket.arena_bound}}) {
      auto value = number(func, attribute);
      if (!value.ok())
        return value.status();
      *field = *value;
    }
    auto shape = bucketShape(func);
    if (mlir::failed(shape))
      return absl::InternalError(absl::StrCat("bucket ", bucket.name, " has no limits"));
    bucket.shape = *shape;
    func.walk([&](DispatchOp dispatch) { bucket.dispatches.push_back(dispatch); });
    buckets.push_back(std::move(bucket));
  }
  if (buckets.empty())
    return absl::InternalError("the schedule phase left no bucket");
  return buckets;
}

absl::StatusOr<PlannedSizes> planned_sizes(mlir::ModuleOp planned) {
  PlannedSizes sizes;
  for (auto [attribute, field] : {std::pair{attrs::kWeightsBytes, &sizes.weights},
                                  std::pair{attrs::kSlotBytes, &sizes.slot_bytes}}) {
    auto value = number(planned, attribute);
    if (!value.ok())
      return value.status();
    *field = *value;
  }
  auto pages = planned->getAttrOfType<mlir::DenseI64ArrayAttr>(attrs::kPageBytes);
  auto windows = planned->getAttrOfType<mlir::DenseI64ArrayAttr>(attrs::kKvWindows);
  if (!pages || !windows || pages.size() != windows.size())
    return absl::InternalError(
        "the plan phase left no quern.page_bytes and quern.kv_windows on the module");
  for (auto [bytes, window] : llvm::zip(pages.asArrayRef(), windows.asArrayRef()))
    sizes.kv_groups.push_back({0, static_cast<uint64_t>(window), static_cast<uint64_t>(bytes)});
  for (auto state : planned.getOps<DeclareStateOp>())
    if (mlir::cast<StateType>(state.getType()).getKind() == StateKind::kv) {
      if (!state.getGroup() || *state.getGroup() >= sizes.kv_groups.size())
        return absl::InternalError("the plan phase left a kv state without a group");
      ++sizes.kv_groups[*state.getGroup()].layers;
    }
  const auto buckets = planned_buckets(planned);
  if (!buckets.ok())
    return buckets.status();
  for (const PlannedBucket &bucket : *buckets)
    if (bucket.arena >= sizes.arena) {
      sizes.arena = bucket.arena;
      sizes.arena_bound = bucket.arena_bound;
    }
  return sizes;
}

PackedOp packed_weight(mlir::Value value, mlir::SymbolTableCollection &symbols) {
  auto ref = value.getDefiningOp<WeightRefOp>();
  if (!ref)
    return {};
  return symbols.lookupNearestSymbolFrom<PackedOp>(ref, ref.getNameAttr());
}

uint64_t flops_per_token(const PlannedBucket &bucket, mlir::SymbolTableCollection &symbols) {
  uint64_t sum = 0;
  for (DispatchOp dispatch : bucket.dispatches)
    if (auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(dispatch, dispatch.getKernelAttr()))
      sum += kernel.anchorFacts().flops.row;
  return sum;
}

} // namespace quern::artifact

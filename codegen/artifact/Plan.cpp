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

uint64_t elements(llvm::ArrayRef<int64_t> shape) {
  uint64_t n = 1;
  for (const int64_t dim : shape)
    n *= static_cast<uint64_t>(dim);
  return n;
}

constexpr uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

// Multiply-adds of one token in a kernel's body.
uint64_t multiply_adds(mlir::Operation &op) {
  if (auto linear = mlir::dyn_cast<LinearOp>(op))
    return elements(linear.getWeight().getType().getShape());
  if (auto conv = mlir::dyn_cast<CausalConv1dOp>(op))
    return elements(conv.getWeight().getType().getShape());
  if (auto recurrence = mlir::dyn_cast<LinearRecurrenceOp>(op)) {
    // Decay, k v^T and S^T r; the rank-one correction is two more.
    const uint64_t state = elements(recurrence.getState().getType().getShape());
    return (recurrence.getA() ? 5 : 3) * state;
  }
  return 0;
}

} // namespace

absl::StatusOr<std::vector<PlannedBucket>> planned_buckets(mlir::ModuleOp planned) {
  std::vector<PlannedBucket> buckets;
  for (auto func : planned.getOps<mlir::func::FuncOp>()) {
    PlannedBucket bucket;
    bucket.func = func;
    for (auto [attribute, field] :
         {std::pair{"quern.entry", &bucket.entry}, std::pair{"quern.bucket", &bucket.name}}) {
      auto value = text(func, attribute);
      if (!value.ok())
        return value.status();
      *field = *value;
    }
    for (auto [attribute, field] :
         {std::pair{"quern.max_tokens", &bucket.max_tokens},
          std::pair{"quern.max_seqs", &bucket.max_seqs},
          std::pair{"quern.max_rows", &bucket.max_rows}, std::pair{"quern.arena", &bucket.arena},
          std::pair{"quern.arena_bound", &bucket.arena_bound}}) {
      auto value = number(func, attribute);
      if (!value.ok())
        return value.status();
      *field = *value;
    }
    func.walk([&](DispatchOp dispatch) { bucket.dispatches.push_back(dispatch); });
    buckets.push_back(std::move(bucket));
  }
  if (buckets.empty())
    return absl::InternalError("the schedule phase left no bucket");
  return buckets;
}

absl::StatusOr<PlannedSizes> planned_sizes(mlir::ModuleOp planned) {
  PlannedSizes sizes;
  for (auto [attribute, field] : {std::pair{"quern.weights_bytes", &sizes.weights},
                                  std::pair{"quern.slot_bytes", &sizes.slot_bytes}}) {
    auto value = number(planned, attribute);
    if (!value.ok())
      return value.status();
    *field = *value;
  }
  if (auto pages = planned->getAttrOfType<mlir::DenseI64ArrayAttr>("quern.page_bytes"))
    for (const int64_t bytes : pages.asArrayRef())
      sizes.pages.push_back(static_cast<uint64_t>(bytes));
  else
    return absl::InternalError("the plan phase left no quern.page_bytes on the module");
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

std::vector<PlannedBuffer> planned_buffers(const PlannedBucket &bucket) {
  llvm::DenseMap<mlir::Operation *, uint32_t> order;
  for (uint32_t i = 0; i < bucket.dispatches.size(); ++i)
    order[bucket.dispatches[i]] = i;
  std::vector<PlannedBuffer> buffers;
  for (uint32_t i = 0; i < bucket.dispatches.size(); ++i) {
    DispatchOp dispatch = bucket.dispatches[i];
    for (mlir::OpResult result : dispatch->getResults()) {
      const int64_t offset =
          dispatch.getOffsets() ? (*dispatch.getOffsets())[result.getResultNumber()] : -1;
      if (offset < 0)
        continue; // an output of the entry
      PlannedBuffer buffer;
      buffer.name = dispatch.getLabel().str();
      if (dispatch->getNumResults() > 1)
        absl::StrAppend(&buffer.name, "#", result.getResultNumber());
      buffer.offset = static_cast<uint64_t>(offset);
      buffer.bytes = buffer_bytes(result.getType(), bucket);
      buffer.first = buffer.last = i;
      for (mlir::Operation *user : result.getUsers())
        if (auto at = order.find(user); at != order.end())
          buffer.last = std::max(buffer.last, at->second);
      buffers.push_back(std::move(buffer));
    }
  }
  return buffers;
}

uint64_t state_bytes(StateType type) {
  const auto shape = type.getShape();
  if (type.getKind() != StateKind::kv)
    return elements(shape) * sizeof(float);
  const auto heads = static_cast<uint64_t>(shape[0]);
  return heads * static_cast<uint64_t>(shape[1] + shape[2]) * QUERN_KV_PAGE * sizeof(float);
}

uint64_t buffer_bytes(mlir::Type type, const PlannedBucket &bucket) {
  const llvm::StringRef symbol = rowsOf(type);
  const uint64_t rows = symbol == "T"   ? bucket.max_tokens
                        : symbol == "R" ? bucket.max_rows
                                        : bucket.max_seqs;
  const auto cols = static_cast<uint64_t>(colsOf(type));
  if (!mlir::isa<Q8RowsType>(type))
    return rows * cols * sizeof(float);
  const uint64_t codes = round_up(cols, 32);
  return rows * round_up(codes + codes / 32 * sizeof(QuernQ8Group), 64);
}

PackedOp packed_weight(mlir::Value value) {
  auto ref = value.getDefiningOp<WeightRefOp>();
  if (!ref)
    return {};
  return mlir::SymbolTable::lookupNearestSymbolFrom<PackedOp>(ref, ref.getNameAttr());
}

uint64_t flops_per_token(const PlannedBucket &bucket) {
  uint64_t sum = 0;
  for (DispatchOp dispatch : bucket.dispatches)
    if (auto kernel = mlir::SymbolTable::lookupNearestSymbolFrom<KernelOp>(
            dispatch, dispatch.getKernelAttr()))
      for (mlir::Operation &op : kernel.getBody().front())
        sum += multiply_adds(op);
  return 2 * sum;
}

} // namespace quern::artifact

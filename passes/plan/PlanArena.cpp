// --quern-plan-arena: activations.
#include "passes/analysis/Buffers.h"
#include "passes/analysis/Remarks.h"
#include "passes/plan/Allocator.h"
#include "passes/plan/Passes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_PLANARENA
#include "passes/plan/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"plan", "plan-arena"};

struct PlanArenaPass : impl::PlanArenaBase<PlanArenaPass> {
  void runOnOperation() override {
    for (func::FuncOp bucket : bucketsOf(getOperation())) {
      FailureOr<BucketShape> shape = bucketShape(bucket);
      if (failed(shape))
        return signalPassFailure();
      plan(bucket, *shape);
    }
  }

  void plan(func::FuncOp bucket, const BucketShape &shape) {
    std::vector<LiveBuffer> buffers = liveBuffers(bucket, shape);
    std::vector<plan::Interval> intervals;
    for (const LiveBuffer &buffer : buffers)
      if (!buffer.is_output)
        intervals.push_back({buffer.bytes, buffer.first, buffer.last});
    plan::Allocation allocation;
    if (!intervals.empty())
      allocation = plan::allocate(intervals, {.alignment = kBufferAlignment});

    llvm::MapVector<Operation *, SmallVector<int64_t>> offsets;
    for (auto dispatch : bucket.getOps<DispatchOp>())
      offsets[dispatch];
    size_t next = 0;
    for (const LiveBuffer &buffer : buffers) {
      int64_t offset = buffer.is_output ? -1 : allocation.offsets[next++];
      if (buffer.value)
        offsets[buffer.dispatch].push_back(offset);
      else
        DispatchOp(buffer.dispatch).setScratch(offset);
    }
    for (auto &[dispatch, places] : offsets)
      cast<DispatchOp>(dispatch).setOffsets(places);

    Builder builder(&getContext());
    bucket->setAttr(attrs::kArena, builder.getI64IntegerAttr(allocation.bytes));
    bucket->setAttr(attrs::kArenaBound, builder.getI64IntegerAttr(allocation.bound));
    numBuffers += intervals.size();
    numOptimal += allocation.bytes == allocation.bound;
    if (allocation.bytes == allocation.bound)
      kRemarks.hit(bucket) << say("{0}: an arena of {1} bytes, all of them live at once",
                                  bucket.getName(), allocation.bytes);
    else
      kRemarks.miss(bucket) << say("{0}: an arena of {1} bytes where {2} are live at once",
                                   bucket.getName(), allocation.bytes, allocation.bound);
  }
};
} // namespace
} // namespace quern

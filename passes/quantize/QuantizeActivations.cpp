// --quern-quantize-activations: integer inputs for integer weights.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/analysis/WeightRoles.h"
#include "passes/quantize/Passes.h"
#include "passes/target/Target.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/BitVector.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONS
#include "passes/quantize/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"quantize", "quantize-activations"};

/// The columns of an outside value that a product reads: value, first column, number of columns,
/// and of how many blocks each is quantized as a row of its own.
using Columns = std::tuple<Value, int64_t, int64_t, int64_t>;

Q8RowsType q8Type(Columns columns) {
  auto [value, offset, cols, blocks] = columns;
  MLIRContext *context = value.getContext();
  return Q8RowsType::get(context, StringAttr::get(context, rowsOf(value.getType())), cols, blocks);
}

/// Rows to be quantized, and the regions that read them, in order.
struct Work {
  Columns columns;
  SmallVector<FusedOp> readers;
};

struct QuantizeActivationsPass : impl::QuantizeActivationsBase<QuantizeActivationsPass> {
  using QuantizeActivationsBase::QuantizeActivationsBase;

  void runOnOperation() override {
    target = &target::of(getOperation());
    for (func::FuncOp entry : entriesOf(getOperation())) {
      llvm::MapVector<Columns, SmallVector<FusedOp>> found;
      for (auto fused : entry.getOps<FusedOp>())
        if (OpOperand *input = inputOf(fused); input && isRows(input->get().getType()))
          found[columnsOf(fused, *input)].push_back(fused);
      work.clear();
      for (auto &[columns, readers] : found)
        work.push_back({columns, readers});
      for (size_t i = 0; i < work.size(); ++i) {
        Value q8 = quantize(work[i].columns, work[i].readers.front());
        for (FusedOp fused : work[i].readers)
          readQuantized(fused, q8);
      }
      for (auto fused : llvm::make_early_inc_range(entry.getOps<FusedOp>()))
        if (llvm::any_of(fused.getResultTypes(), llvm::IsaPred<Q8RowsType>))
          dropUnusedResults(fused);
    }
  }

  /// What a product with quantized weights reads; null where the region has none.
  static OpOperand *inputOf(FusedOp fused) {
    AnchorOpInterface anchor = fused.anchorOp();
    if (!anchor)
      return nullptr;
    const MatrixUse matrix = anchor.facts().matrix;
    if (!matrix.operand || !matrix.summed ||
        !isQuantized(cast<WeightType>(matrix.operand->get().getType())))
      return nullptr;
    return &anchor->getOpOperand(0);
  }

  static Columns columnsOf(FusedOp fused, OpOperand &input) {
    int64_t offset = 0;
    Value value = input.get();
    auto experts = dyn_cast<ExpertLinearOp>(input.getOwner());
    const int64_t blocks = experts && experts.readsBlocks() ? experts.choices() : 1;
    while (auto slice = value.getDefiningOp<SliceOp>()) {
      offset += slice.getOffset();
      value = slice.getInput();
    }
    // A linear's prologue is slices alone, so this is one of the region's inputs.
    unsigned index = cast<BlockArgument>(value).getArgNumber();
    return {fused.getInputs()[index], offset, colsOf(input.get().getType()), blocks};
  }

  static bool isWhole(Columns columns) {
    auto [value, offset, cols, blocks] = columns;
    return offset == 0 && cols == colsOf(value.getType());
  }

  /// Why the region that computes `columns` cannot quantize them; empty if it can.
  std::string obstacle(FusedOp producer, Columns columns) const {
    if (!join)
      return "joining is switched off";
    if (!producer)
      return "no region computes them";
    if (!isWhole(columns))
      return "the linear reads a slice of them";
    std::optional<int64_t> parts = producer.anchorFacts().rowParts;
    std::string region = ("a region of anchor " + stringifyAnchor(producer.getAnchor())).str();
    if (!parts)
      return region + " computes them";
    if (*parts == kWholeRow)
      return "";
    if (std::get<3>(columns) != 1)
      return region + " computes them, and they are quantized in blocks";
    int64_t part = std::get<2>(columns) / *parts;
    if (part % target->pairColumns != 0)
      return region + " computes them in parts of " + std::to_string(part) +
             " columns, which are no whole pairs of groups";
    return "";
  }

  /// The quantized rows, computed by the region that computes `columns` or by one before `user`.
  Value quantize(Columns columns, FusedOp user) {
    auto [value, offset, cols, blocks] = columns;
    auto producer = value.getDefiningOp<FusedOp>();
    std::string why = obstacle(producer, columns);
    if (why.empty()) {
      ++numAppended;
      return append(producer, cast<OpResult>(value), blocks);
    }
    ++numSeparate;
    OpBuilder builder(user);
    Location loc = producer ? producer.getLoc() : user.getLoc();
    auto fused =
        FusedOp::create(builder, loc, TypeRange(q8Type(columns)), ValueRange(value), Anchor::rows);
    Block &body = fused.getBody().emplaceBlock();
    Value rows = body.addArgument(value.getType(), value.getLoc());
    builder.setInsertionPointToEnd(&body);
    if (!isWhole(columns))
      rows = SliceOp::create(builder, loc, rowsType(&getContext(), rowsOf(value.getType()), cols),
                             rows, offset);
    Value q8 = QuantizeRowsOp::create(builder, loc, q8Type(columns), rows);
    YieldOp::create(builder, loc, q8);
    kRemarks.miss(fused) << say("the rows are quantized in a region of their own: {0}", why);
    return fused.getResult(0);
  }

  /// Makes the region yield `result` quantized too.
  Value append(FusedOp producer, OpResult result, int64_t blocks) {
    Block &body = producer.getBody().front();
    OpBuilder builder(body.getTerminator());
    Value rows = body.getTerminator()->getOperand(result.getResultNumber());
    auto q8 = QuantizeRowsOp::create(builder, producer.getLoc(),
                                     q8Type({result, 0, colsOf(result.getType()), blocks}), rows);
    body.getTerminator()->insertOperands(producer.getNumResults(), q8.getResult());
    kRemarks.hit(producer) << say("the region quantizes its rows, too");

    SmallVector<OpResult> kept = llvm::to_vector(producer->getOpResults());
    return remake(producer, kept).getResults().back();
  }

  /// The region anew, with the results its yield has now; `kept` are the old results, in the order
  /// in which they come first among the new.
  FusedOp remake(FusedOp old, MutableArrayRef<OpResult> kept) {
    OpBuilder builder(old);
    auto fresh = FusedOp::create(builder, old.getLoc(),
                                 old.getBody().front().getTerminator()->getOperandTypes(),
                                 old.getInputs(), old.getAnchor());
    fresh.getBody().takeBody(old.getBody());
    for (auto [before, now] : llvm::zip(kept, fresh.getResults())) {
      before.replaceAllUsesWith(now);
      for (Work &item : work)
        if (std::get<0>(item.columns) == before)
          std::get<0>(item.columns) = now;
    }
    old.erase();
    return fresh;
  }

  /// Float rows that were only read to be quantized are not written any more.
  void dropUnusedResults(FusedOp fused) {
    SmallVector<OpResult> kept;
    llvm::BitVector unused(fused.getNumResults());
    for (OpResult result : fused->getOpResults())
      if (result.use_empty())
        unused.set(result.getResultNumber());
      else
        kept.push_back(result);
    if (unused.none())
      return;
    fused.getBody().front().getTerminator()->eraseOperands(unused);
    remake(fused, kept);
  }

  /// Lets the region's linear read `q8` where it read rows.
  static void readQuantized(FusedOp fused, Value q8) {
    OpOperand &input = *inputOf(fused);
    Block &body = fused.getBody().front();
    Value old = input.get();
    Value base = old;
    while (auto slice = base.getDefiningOp<SliceOp>())
      base = slice.getInput();
    unsigned index = cast<BlockArgument>(base).getArgNumber();
    BlockArgument argument = body.insertArgument(index, q8.getType(), q8.getLoc());
    fused.getInputsMutable().slice(index, 0).append(q8);
    input.set(argument);
    while (auto slice = old.getDefiningOp<SliceOp>()) {
      old = slice.getInput();
      if (slice->use_empty())
        slice.erase();
    }
    if (body.getArgument(index + 1).use_empty()) {
      body.eraseArgument(index + 1);
      fused.getInputsMutable().erase(index + 1);
    }
  }
  const target::Target *target = nullptr;
  std::vector<Work> work;
};
} // namespace
} // namespace quern

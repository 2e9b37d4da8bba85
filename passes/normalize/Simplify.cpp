// --quern-simplify: fewer ops, the same bits.
#include "passes/analysis/Entries.h"
#include "passes/normalize/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_SIMPLIFY
#include "passes/normalize/Passes.h.inc"

namespace {

/// A slice of all columns; weight_convert and weight_reshape to what the weight is already.
template <typename OpTy> struct ToSameType : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (op.getType() != op.getInput().getType())
      return rewriter.notifyMatchFailure(op, "it changes the type");
    rewriter.replaceOp(op, op.getInput());
    return success();
  }
};

struct SliceOfSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<SliceOp>();
    if (!inner || inner.getGroups() != 1 || op.getGroups() != 1)
      return rewriter.notifyMatchFailure(op, "its input is no slice, or one of them is of groups");
    rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), inner.getInput(),
                                         inner.getOffset() + op.getOffset());
    return success();
  }
};

struct ScaleByOne : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    if (!op.getFactor().isExactlyValue(1.0))
      return rewriter.notifyMatchFailure(op, "its factor is not 1");
    rewriter.replaceOp(op, op.getInput());
    return success();
  }
};

/// mul(unary fn g, u) or mul(u, unary fn g).
struct RaiseGatedAct : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    if (op.getFn() != BinaryKind::mul || op.getRepeat() != 1 ||
        op.getRhs().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "no product of two rows of one type");
    Value lhs = op.getLhs(), rhs = op.getRhs();
    for (auto [gate, up] : {std::pair(lhs, rhs), std::pair(rhs, lhs)}) {
      auto unary = gate.getDefiningOp<UnaryOp>();
      if (!unary || !unary->hasOneUse())
        continue;
      rewriter.replaceOpWithNewOp<GatedActOp>(op, op.getType(), unary.getFn(), unary.getInput(),
                                              up);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "neither side is a function with no other use");
  }
};

struct ConcatOfOne : OpRewritePattern<WeightConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WeightConcatOp op, PatternRewriter &rewriter) const override {
    if (op.getInputs().size() != 1)
      return rewriter.notifyMatchFailure(op, "it has several inputs");
    rewriter.replaceOp(op, op.getInputs().front());
    return success();
  }
};

struct ReshapeOfReshape : OpRewritePattern<WeightReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WeightReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<WeightReshapeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "its input is no reshape");
    rewriter.replaceOpWithNewOp<WeightReshapeOp>(op, op.getType(), inner.getInput());
    return success();
  }
};

/// Counts replacements.
struct Counter : RewriterBase::Listener {
  explicit Counter(Pass::Statistic &count) : count(count) {}
  void notifyOperationReplaced(Operation *, ValueRange) override { ++count; }
  Pass::Statistic &count;
};

struct SimplifyPass : impl::SimplifyBase<SimplifyPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ToSameType<SliceOp>, ToSameType<WeightConvertOp>, ToSameType<WeightReshapeOp>,
                 SliceOfSlice, ScaleByOne, RaiseGatedAct, ConcatOfOne, ReshapeOfReshape>(
        &getContext());
    Counter counter(numRewritten);
    GreedyRewriteConfig config;
    config.setListener(&counter).enableConstantCSE(false);
    FrozenRewritePatternSet frozen(std::move(patterns));
    for (func::FuncOp entry : entriesOf(getOperation()))
      if (failed(applyPatternsGreedily(entry, frozen, config)))
        return signalPassFailure();
  }
};

} // namespace
} // namespace quern

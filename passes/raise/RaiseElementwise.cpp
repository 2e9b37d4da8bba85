// --quern-raise-elementwise: pointwise pieces beside model ops.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Rows.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISEELEMENTWISE
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-elementwise"};

/// A gelu by tanh is of eight nodes.
constexpr size_t kMostOps = 40;

struct RaiseElementwisePass : impl::RaiseElementwiseBase<RaiseElementwisePass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      Block &block = entry.getBody().front();
      // What is raised may be the neighbour that another piece lacked.
      for (bool again = true; again;) {
        again = false;
        ModelReads reads(block);
        for (Operation *op = &block.back(), *before; op; op = before) {
          before = op->getPrevNode();
          if (isPointwise(op) && !op->use_empty() && rowsOfTensor(op->getResult(0).getType()))
            again |= raise(op, reads);
        }
        eraseDead(block);
      }
    }
  }

  bool raise(Operation *root, ModelReads &reads) {
    std::optional<Meaning> found;
    size_t ops = 0;
    Piece piece(root);
    do {
      if (!reads.meets(root->getResult(0)) &&
          llvm::none_of(piece.leaves(), [&](Value leaf) { return reads.meets(leaf); }))
        continue;
      if (auto meaning = meaningOf(piece); meaning && canSay(*meaning)) {
        found = meaning;
        ops = piece.ops().size();
      }
    } while (piece.ops().size() < kMostOps && piece.grow(isPointwise));
    if (!found)
      return false;
    return replace(root, *found, ops, reads);
  }

  static bool canSay(const Meaning &meaning) {
    return !meaning.vector() || isWeight(meaning.second);
  }

  bool replace(Operation *root, const Meaning &meaning, size_t ops, ModelReads &reads) {
    OpBuilder builder(root);
    const Location loc = root->getLoc();
    Value x = asRows(builder, loc, meaning.first), y;
    if (meaning.second)
      y = meaning.vector() ? weightOf(builder, meaning.second)
                           : asRows(builder, loc, meaning.second);
    Value result = x;
    switch (meaning.kind) {
    case Meaning::Kind::Same:
      break;
    case Meaning::Kind::Scale:
      result = ScaleOp::create(builder, loc, x.getType(), x,
                               builder.getF32FloatAttr(static_cast<float>(meaning.factor)));
      break;
    case Meaning::Kind::Unary:
      result = UnaryOp::create(builder, loc, x.getType(), meaning.unary, x);
      break;
    case Meaning::Kind::Binary:
      result = BinaryOp::create(builder, loc, x.getType(), meaning.binary, x, y);
      break;
    case Meaning::Kind::Gated:
      result = GatedActOp::create(builder, loc, x.getType(), meaning.unary, x, y);
      break;
    }
    if (std::string why;
        meaning.kind != Meaning::Kind::Same && !isAccepted(result.getDefiningOp(), why)) {
      kRemarks.miss(root) << say("{0} ops are one, but {1}", ops, why);
      return false;
    }
    kRemarks.hit(root) << say("{0} ops are one", ops);
    ++numRaised;
    if (meaning.kind != Meaning::Kind::Same)
      for (Value operand : result.getDefiningOp()->getOperands())
        reads.add(operand);
    const Value tensor = asTensor(builder, loc, result, root->getResult(0).getType());
    if (reads.meets(root->getResult(0)))
      reads.add(tensor);
    root->getResult(0).replaceAllUsesWith(tensor);
    return true;
  }
};
} // namespace
} // namespace quern

// --quern-raise-rotary: columns that are turned in pairs, by angles that hang on positions.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rotation.h"
#include "passes/raise/Rows.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"

#include <optional>
#include <string>
#include <tuple>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISEROTARY
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-rotary"};

/// A rotation of a part of each head's columns is of some ten moves and sums.
constexpr size_t kMostOps = 32;

/// The dimensions of the tensor before its columns, multiplied; of what is to become columns, two
/// are left out.
symbols::Dim outerOf(RankedTensorType type, unsigned inner) {
  symbols::Dim count(1);
  for (unsigned i = 0; i + inner < type.getRank(); ++i)
    count *= countOf(dimOf(type, i));
  return count;
}

/// Whether the op makes numbers for every row and head that `root` has: a part of its columns, or
/// these in pairs. What is not is a table's.
bool isOfAllRows(Operation *op, RankedTensorType root) {
  if (!isParallel(op))
    return false;
  const auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (!type.getElementType().isF32() || type.getRank() < root.getRank())
    return false;
  const symbols::Dim rows = outerOf(root, 1);
  return rows.valid() && (outerOf(type, 1) == rows || outerOf(type, 2) == rows);
}

class Rotary {
public:
  Rotary(Operation *root, const Rotation &found) : root(root), found(found) {
    type = cast<RankedTensorType>(root->getResult(0).getType());
    const auto rank = static_cast<unsigned>(type.getRank());
    // A dimension that no angle hangs on is one of heads, which are columns.
    for (unsigned i = 0; i + 1 < rank; ++i)
      if (!type.isDynamicDim(i) && sizeIn(found.cosines.value, i) == 1 &&
          sizeIn(found.sines.value, i) == 1)
        heads = i;
    for (unsigned i = 0; i + 1 < rank; ++i)
      if (i != heads)
        order.push_back(i);
    outer = static_cast<unsigned>(order.size());
    if (heads)
      order.push_back(*heads);
    order.push_back(rank - 1);
  }

  int64_t headDim() const { return type.getShape().back(); }
  int64_t headCount() const { return heads ? type.getDimSize(*heads) : 1; }
  int64_t columns() const { return headDim() * headCount(); }

  /// What the rows' table is made of: how pairs lie in its parts is a number.
  using Key = std::tuple<Value, Value, int64_t, int64_t, Type>;
  Key key() const {
    return {found.cosines.value, found.sines.value, found.pairs,
            3 * static_cast<int64_t>(found.cosines.layout) +
                static_cast<int64_t>(found.sines.layout),
            tableType()};
  }

  /// [outer dimensions, cosines and sines], as rows; null if their number is no product of sizes.
  Value table() const {
    const RankedTensorType whole = tableType(), rows = rowsOfTensor(whole);
    if (!rows)
      return {};
    OpBuilder builder(root);
    builder.setInsertionPointAfterValue(found.cosines.value);
    if (Operation *sines = found.sines.value.getDefiningOp())
      if (Operation *before = found.cosines.value.getDefiningOp();
          !before || before->isBeforeInBlock(sines))
        builder.setInsertionPointAfter(sines);
    const Location loc = found.cosines.value.getLoc();
    Value parts[] = {part(builder, loc, found.cosines), part(builder, loc, found.sines)};
    Value both = tensor::ConcatOp::create(builder, loc, whole, whole.getRank() - 1, parts);
    return asTensor(builder, loc, both, rows);
  }

  /// Puts the op in the root's place.
  bool replace(Value table, std::string &why) {
    OpBuilder builder(root);
    const Location loc = root->getLoc();
    SmallVector<DimSize> dims;
    for (unsigned i : order)
      dims.push_back(dimOf(type, i));
    const RankedTensorType moved = tensorOf(dims, type.getElementType());
    const RankedTensorType rows =
        rowsType(builder.getContext(), rowsOf(table.getType()), columns());
    Value input = asTensor(builder, loc, permuted(builder, loc, found.input, order), rows);
    auto rope =
        RopeOp::create(builder, loc, rows, input, table, builder.getI64IntegerAttr(headDim()),
                       builder.getBoolAttr(found.interleaved));
    if (!isAccepted(rope, why))
      return false;
    SmallVector<unsigned> back(order.size());
    for (auto [i, dim] : llvm::enumerate(order))
      back[dim] = static_cast<unsigned>(i);
    Value result = asTensor(builder, loc, rope, moved);
    replaceUnderPermutations(root->getResult(0), permuted(builder, loc, result, back));
    return true;
  }

private:
  /// The size of a table in a dimension of the root.
  int64_t sizeIn(Value table, unsigned dim) const {
    const auto own = cast<RankedTensorType>(table.getType());
    const auto ahead = static_cast<unsigned>(type.getRank() - own.getRank());
    return dim < ahead ? 1 : own.getDimSize(dim - ahead);
  }

  RankedTensorType tableType(int64_t parts = 2) const {
    SmallVector<DimSize> dims;
    for (unsigned i = 0; i < outer; ++i)
      dims.push_back(dimOf(type, order[i]));
    dims.push_back({parts * found.pairs, {}});
    return tensorOf(dims, type.getElementType());
  }

  /// A number of each pair, for every row.
  Value part(OpBuilder &builder, Location loc, const AngleTable &table) const {
    const RankedTensorType made = tableType(1);
    Value numbers = firstOfPairs(builder, loc, table);
    const auto own = cast<RankedTensorType>(numbers.getType());
    MLIRContext *context = builder.getContext();
    SmallVector<AffineExpr> at;
    for (unsigned i = 0; i + 1 < own.getRank(); ++i) {
      const unsigned dim = i + static_cast<unsigned>(type.getRank() - own.getRank());
      const auto loop = static_cast<unsigned>(llvm::find(order, dim) - order.begin());
      at.push_back(own.getDimSize(i) == 1 || loop >= outer ? getAffineConstantExpr(0, context)
                                                           : getAffineDimExpr(loop, context));
    }
    at.push_back(getAffineDimExpr(outer, context));
    const AffineMap maps[] = {AffineMap::get(outer + 1, 0, at, context),
                              builder.getMultiDimIdentityMap(outer + 1)};
    const SmallVector<utils::IteratorType> parallel(outer + 1, utils::IteratorType::parallel);
    Value empty = tensor::EmptyOp::create(builder, loc, made, sizesOf(builder, loc, made));
    auto copy = linalg::GenericOp::create(builder, loc, made, numbers, empty, maps, parallel,
                                          [](OpBuilder &b, Location inner, ValueRange args) {
                                            linalg::YieldOp::create(b, inner, args[0]);
                                          });
    return copy.getResult(0);
  }

  Value firstOfPairs(OpBuilder &builder, Location loc, const AngleTable &table) const {
    if (table.layout == AngleTable::Layout::Single)
      return table.value;
    const auto own = cast<RankedTensorType>(table.value.getType());
    SmallVector<DimSize> dims;
    SmallVector<OpFoldResult> offsets, sizes, strides;
    for (unsigned i = 0; i < own.getRank(); ++i) {
      const bool columns = i + 1 == own.getRank();
      dims.push_back(columns ? DimSize{found.pairs, {}} : dimOf(own, i));
      offsets.push_back(builder.getIndexAttr(0));
      strides.push_back(builder.getIndexAttr(columns ? table.first(1) : 1));
      if (ShapedType::isDynamic(dims.back().size))
        sizes.push_back(
            SizeOp::create(builder, loc, builder.getIndexType(), dims.back().name).getResult());
      else
        sizes.push_back(builder.getIndexAttr(dims.back().size));
    }
    return tensor::ExtractSliceOp::create(builder, loc, tensorOf(dims, own.getElementType()),
                                          table.value, offsets, sizes, strides);
  }

  Operation *root;
  Rotation found;
  RankedTensorType type;
  std::optional<unsigned> heads;
  SmallVector<unsigned> order; ///< the root's dimensions: outer ones, heads, columns
  unsigned outer = 0;
};

struct RaiseRotaryPass : impl::RaiseRotaryBase<RaiseRotaryPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      tables.clear();
      alike.clear();
      Block &block = entry.getBody().front();
      // The last first: where a part of each head is turned, the whole is found before the part.
      for (Operation *op = &block.back(), *before; op; op = before) {
        before = op->getPrevNode();
        if (isCandidate(op))
          raise(op);
        // Parts of what was raised as a whole are looked at no more.
        if (isOpTriviallyDead(op))
          op->erase();
      }
      eraseDead(block);
    }
  }

  static bool isCandidate(Operation *op) {
    if (!isParallel(op) || isa<tensor::ExtractSliceOp>(op) || op->use_empty())
      return false;
    const auto type = cast<RankedTensorType>(op->getResult(0).getType());
    const int64_t columns = type.getShape().empty() ? 0 : type.getShape().back();
    return type.getElementType().isF32() && type.getRank() >= 2 && type.getRank() <= 4 &&
           columns >= 2;
  }

  void raise(Operation *op) {
    const auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Piece piece(op);
    auto may = [&](Operation *def) { return isOfAllRows(def, type); };
    do {
      if (!mayRotate(piece))
        continue;
      if (auto found = rotationOf(piece))
        return replace(op, *found);
    } while (piece.ops().size() < kMostOps && piece.growBehind(may));
  }

  void replace(Operation *op, const Rotation &found) {
    std::string why;
    Rotary rotary(op, found);
    if (!isAlike(found.cosines, found.pairs, why) || !isAlike(found.sines, found.pairs, why))
      return miss(op, why);
    auto [at, fresh] = tables.insert({rotary.key(), Value()});
    if (fresh)
      at->second = rotary.table();
    if (!at->second)
      return miss(op, "the number of its rows is no product of sizes");
    if (!rotary.replace(at->second, why))
      return miss(op, why);
    ++numRaised;
    kRemarks.hit(op) << say("rope of {0} heads, {1} of {2} columns, {3}", rotary.headCount(),
                            2 * found.pairs, rotary.headDim(),
                            found.interleaved ? "neighbours" : "halves");
  }

  void miss(Operation *op, const std::string &why) {
    ++numMissed;
    kRemarks.miss(op) << say("columns turned in pairs, but {0}", why);
  }

  /// Of a table that all layers read it is asked once.
  bool isAlike(const AngleTable &table, int64_t pairs, std::string &why) {
    auto [at, fresh] =
        alike.insert({{table.value, pairs, static_cast<int64_t>(table.layout)}, std::string()});
    if (fresh && !turnsPairsAlike(table, pairs, at->second) && at->second.empty())
      at->second = "its angles cannot be computed";
    why = at->second;
    return why.empty();
  }

  llvm::DenseMap<Rotary::Key, Value> tables;
  llvm::DenseMap<std::tuple<Value, int64_t, int64_t>, std::string> alike; ///< why not
};
} // namespace
} // namespace quern

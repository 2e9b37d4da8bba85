// See ShortShapes.h.
#include "passes/raise/ShortShapes.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <algorithm>
#include <iterator>

using namespace mlir;

namespace quern::raise {
namespace {

/// A dimension of no more elements stays as it is.
constexpr int64_t kShort = 8;
/// Elements and rows that the result has at least, if it had them.
constexpr int64_t kLeastElements = 1024, kLeastRows = 8;

/// Which dimensions of a piece's tensors go together, and which of them keep their length.
class Dimensions {
public:
  Dimensions(const Piece &piece, reference::Sizes &sizes) : piece(piece), sizes(sizes) {}

  std::optional<ShapesOfValues> shorten() {
    for (Value leaf : piece.leaves())
      add(leaf);
    for (Operation *op : piece.inOrder()) {
      for (Value result : op->getResults())
        add(result);
      if (valid && !visit(op))
        return std::nullopt;
    }
    if (!valid)
      return std::nullopt;
    alignLeaves();
    resolveProducts();
    if (!valid)
      return std::nullopt;
    return chooseLengths();
  }

private:
  /// Of dimensions that have the same length because ops say so; found by `find`.
  struct Class {
    unsigned parent;
    int64_t length;
    bool kept = false;     ///< has to have its own length
    int64_t shortened = 0; ///< its length then
  };
  /// A dimension whose elements are those of several others, the last one's next to each other.
  struct Splitting {
    unsigned whole;
    SmallVector<unsigned> parts;
  };

  unsigned find(unsigned dim) {
    while (classes[dim].parent != dim)
      dim = classes[dim].parent = classes[classes[dim].parent].parent;
    return dim;
  }
  void unite(unsigned a, unsigned b) {
    a = find(a);
    b = find(b);
    if (classes[a].length != classes[b].length)
      valid = false;
    // The older one stays, so that lengths are given out in the order of leaves.
    if (a > b)
      std::swap(a, b);
    classes[a].kept |= classes[b].kept;
    classes[b].parent = a;
  }
  void keep(unsigned dim) { classes[find(dim)].kept = true; }
  bool isKept(unsigned dim) { return classes[find(dim)].kept; }
  int64_t lengthOf(unsigned dim) { return classes[find(dim)].length; }
  unsigned make(int64_t length) {
    classes.push_back({static_cast<unsigned>(classes.size()), length});
    return classes.back().parent;
  }

  void add(Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || dims.contains(value))
      return;
    const auto shape = sizes.shape(type);
    if (!shape.ok()) {
      valid = false;
      return;
    }
    auto &made = dims[value];
    for (int64_t size : *shape) {
      valid &= size > 0;
      made.push_back(make(size));
    }
  }
  ArrayRef<unsigned> dimsOf(Value value) {
    const auto at = dims.find(value);
    valid &= at != dims.end();
    return at == dims.end() ? ArrayRef<unsigned>() : ArrayRef(at->second);
  }
  void keepAll(Value value) {
    if (isa<RankedTensorType>(value.getType()))
      for (unsigned dim : dimsOf(value))
        keep(dim);
  }
  void uniteAll(Value a, Value b) {
    const ArrayRef<unsigned> left = dimsOf(a), right = dimsOf(b);
    valid &= left.size() == right.size();
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i)
      unite(left[i], right[i]);
  }

  /// False of an op of which it is not known what it does with dimensions.
  bool visit(Operation *op) {
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      visitGeneric(generic);
    } else if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      uniteAll(fill.getOutputs()[0], fill.getResult(0));
    } else if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      visitReshape(reshape);
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      visitSlice(slice);
    } else if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
      visitConcat(concat);
    } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      if (!isa<SplatElementsAttr>(constant.getValue()))
        keepAll(constant.getResult());
    } else if (!isa<tensor::EmptyOp>(op)) {
      // Numbers, which are what they are at any length of what they are used for.
      return op->getNumRegions() == 0 &&
             llvm::none_of(op->getOperandTypes(), llvm::IsaPred<ShapedType>) &&
             llvm::none_of(op->getResultTypes(), llvm::IsaPred<ShapedType>);
    }
    return true;
  }

  void visitGeneric(linalg::GenericOp op) {
    SmallVector<std::optional<unsigned>> loops(op.getNumLoops());
    SmallVector<bool> keeps(op.getNumLoops(), false);
    for (auto [loop, type] : llvm::enumerate(op.getIteratorTypesArray()))
      keeps[loop] = type != utils::IteratorType::parallel;
    op.getRegion().walk([&](Operation *inner) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner))
        keeps[static_cast<size_t>(index.getDim())] = true;
      for (Value read : inner->getOperands())
        if (isa<RankedTensorType>(read.getType()) &&
            !op->isAncestor(read.getParentBlock()->getParentOp()))
          keepAll(read);
    });
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<RankedTensorType>(operand.get().getType()))
        continue;
      const SmallVector<unsigned> of(dimsOf(operand.get()));
      const AffineMap map = op.getMatchingIndexingMap(&operand);
      for (auto [dim, expr] : llvm::zip(of, map.getResults())) {
        if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
          auto &known = loops[loop.getPosition()];
          if (known)
            unite(*known, dim);
          known = dim;
          continue;
        }
        keep(dim);
        expr.walk([&](AffineExpr part) {
          if (auto loop = dyn_cast<AffineDimExpr>(part))
            keeps[loop.getPosition()] = true;
        });
      }
    }
    for (auto [loop, kept] : llvm::zip(loops, keeps))
      if (loop && kept)
        keep(*loop);
    for (OpResult result : op->getResults())
      uniteAll(op.getTiedOpOperand(result)->get(), result);
  }

  void visitReshape(ReshapeOp op) {
    // Between places where as many elements lie behind, dimensions go together; those of one
    // element belong nowhere.
    auto large = [&](Value value) {
      SmallVector<unsigned> found;
      for (unsigned dim : dimsOf(value))
        if (lengthOf(dim) != 1)
          found.push_back(dim);
      return found;
    };
    const SmallVector<unsigned> from = large(op.getInput()), to = large(op.getResult());
    for (size_t i = 0, j = 0; i < from.size() && j < to.size();) {
      SmallVector<unsigned> left = {from[i]}, right = {to[j]};
      int64_t before = lengthOf(from[i++]), after = lengthOf(to[j++]);
      while (before != after) {
        auto &longer = before < after ? left : right;
        const bool input = before < after;
        if (input ? i == from.size() : j == to.size()) {
          valid = false;
          return;
        }
        longer.push_back(input ? from[i++] : to[j++]);
        (input ? before : after) *= lengthOf(longer.back());
      }
      if (left.size() == 1 && right.size() == 1)
        unite(left[0], right[0]);
      else if (left.size() == 1)
        splittings.push_back({left[0], right});
      else if (right.size() == 1)
        splittings.push_back({right[0], left});
      else
        for (unsigned dim : llvm::concat<unsigned>(left, right))
          keep(dim);
    }
  }

  void visitSlice(tensor::ExtractSliceOp op) {
    const ArrayRef<unsigned> from = dimsOf(op.getSource()), to = dimsOf(op.getResult());
    if (from.size() != to.size()) {
      keepAll(op.getSource());
      keepAll(op.getResult());
      return;
    }
    const auto offsets = op.getMixedOffsets(), strides = op.getMixedStrides();
    for (size_t i = 0; i < from.size(); ++i) {
      if (isConstantIntValue(offsets[i], 0) && isConstantIntValue(strides[i], 1) &&
          lengthOf(from[i]) == lengthOf(to[i])) {
        unite(from[i], to[i]);
      } else {
        keep(from[i]);
        keep(to[i]);
      }
    }
  }

  void visitConcat(tensor::ConcatOp op) {
    const SmallVector<unsigned> to(dimsOf(op.getResult()));
    for (Value input : op.getInputs())
      for (auto [i, dim] : llvm::enumerate(SmallVector<unsigned>(dimsOf(input)))) {
        if (i != op.getDim()) {
          unite(dim, to[i]);
        } else {
          keep(dim);
          keep(to[i]);
        }
      }
  }

  /// Who judges a piece takes leaves for as long as the result, where they were.
  void alignLeaves() {
    const ArrayRef<unsigned> root = dimsOf(piece.root()->getResult(0));
    for (Value leaf : piece.leaves())
      for (auto [a, b] : llvm::zip(llvm::reverse(dimsOf(leaf)), llvm::reverse(root)))
        if (lengthOf(a) == lengthOf(b))
          unite(a, b);
  }

  /// A dimension that is split in one way only is as long as its parts are; of any other, all stays
  /// as it is.
  void resolveProducts() {
    auto keepSplitting = [&](const Splitting &splitting) {
      bool changed = !isKept(splitting.whole);
      keep(splitting.whole);
      for (unsigned part : splitting.parts) {
        changed |= !isKept(part);
        keep(part);
      }
      return changed;
    };
    for (bool changed = true; changed && valid;) {
      changed = false;
      llvm::DenseMap<unsigned, const Splitting *> known;
      for (const Splitting &splitting : splittings) {
        const auto [at, fresh] = known.try_emplace(find(splitting.whole), &splitting);
        const Splitting &other = *at->second;
        if (isKept(splitting.whole) ||
            llvm::all_of(splitting.parts, [&](unsigned part) { return isKept(part); })) {
          changed |= keepSplitting(splitting);
          continue;
        }
        if (fresh)
          continue;
        if (!llvm::equal(splitting.parts, other.parts,
                         [&](unsigned a, unsigned b) { return lengthOf(a) == lengthOf(b); })) {
          changed |= keepSplitting(splitting);
          changed |= keepSplitting(other);
          continue;
        }
        for (auto [a, b] : llvm::zip(splitting.parts, other.parts))
          if (find(a) != find(b)) {
            unite(a, b);
            changed = true;
          }
      }
    }
    for (const Splitting &splitting : splittings)
      if (!isKept(splitting.whole))
        split[find(splitting.whole)] = &splitting;
  }

  int64_t shortened(unsigned dim) {
    Class &found = classes[find(dim)];
    if (found.shortened == 0) {
      found.shortened = 1;
      for (unsigned part : split.at(find(dim))->parts)
        found.shortened *= shortened(part);
    }
    return found.shortened;
  }
  std::vector<int64_t> shapeOf(Value value) {
    std::vector<int64_t> shape;
    for (unsigned dim : dimsOf(value))
      shape.push_back(shortened(dim));
    return shape;
  }

  /// Gives those that may be short so many times the smallest lengths, each another one; whether
  /// one is shorter than it was.
  bool give(int64_t factor) {
    constexpr int64_t kLengths[] = {3, 5, 7, 4, 6};
    bool shorter = false;
    size_t given = 0;
    for (unsigned dim = 0; dim < classes.size(); ++dim) {
      if (find(dim) != dim)
        continue;
      Class &found = classes[dim];
      found.shortened = found.length;
      if (split.contains(dim)) {
        found.shortened = 0;
      } else if (!found.kept && found.length > kShort) {
        found.shortened = std::min(found.length, factor * kLengths[given++ % std::size(kLengths)]);
        shorter |= found.shortened < found.length;
      }
    }
    return shorter;
  }

  std::optional<ShapesOfValues> chooseLengths() {
    for (int64_t factor = 1; give(factor); factor *= 2) {
      int64_t elements = 1;
      const std::vector<int64_t> root = shapeOf(piece.root()->getResult(0));
      for (int64_t size : root)
        elements *= size;
      if (root.empty() || (elements >= kLeastElements && elements / root.back() >= kLeastRows)) {
        ShapesOfValues shapes;
        for (auto &[value, of] : dims)
          shapes[value] = shapeOf(value);
        return shapes;
      }
    }
    return std::nullopt;
  }

  const Piece &piece;
  reference::Sizes &sizes;
  std::vector<Class> classes;
  llvm::DenseMap<Value, SmallVector<unsigned>> dims;
  std::vector<Splitting> splittings;
  llvm::DenseMap<unsigned, const Splitting *> split; ///< by what is split
  bool valid = true;
};

} // namespace

std::optional<ShapesOfValues> shortShapes(const Piece &piece, reference::Sizes &sizes) {
  return Dimensions(piece, sizes).shorten();
}

void cloneWithShapes(OpBuilder &builder, Operation *op, IRMapping &mapping,
                     const ShapesOfValues &shapes) {
  const Location loc = op->getLoc();
  auto typeOf = [&](Value value) -> Type {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type ? RankedTensorType::get(shapes.at(value), type.getElementType()) : value.getType();
  };
  if (isa<tensor::EmptyOp>(op)) {
    mapping.map(op->getResult(0),
                tensor::EmptyOp::create(
                    builder, loc, cast<RankedTensorType>(typeOf(op->getResult(0))), ValueRange())
                    .getResult());
    return;
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    // What drops dimensions has all of them kept, and its sizes too.
    const auto type = cast<RankedTensorType>(typeOf(slice.getResult()));
    SmallVector<OpFoldResult> lengths;
    const SmallVector<bool> dropped = [&] {
      SmallVector<bool> found;
      const llvm::SmallBitVector bits = slice.getDroppedDims();
      for (unsigned i = 0; i < bits.size(); ++i)
        found.push_back(bits.test(i));
      return found;
    }();
    int64_t next = 0;
    for (bool drop : dropped)
      lengths.push_back(builder.getIndexAttr(drop ? 1 : type.getDimSize(next++)));
    auto number = [&](OpFoldResult mixed) -> OpFoldResult {
      auto value = dyn_cast<Value>(mixed);
      return value ? OpFoldResult(mapping.lookupOrDefault(value)) : mixed;
    };
    mapping.map(slice.getResult(),
                tensor::ExtractSliceOp::create(
                    builder, loc, type, mapping.lookup(slice.getSource()),
                    llvm::map_to_vector(slice.getMixedOffsets(), number), lengths,
                    llvm::map_to_vector(slice.getMixedStrides(), number))
                    .getResult());
    return;
  }
  Operation *copy = builder.clone(*op, mapping);
  for (auto [result, made] : llvm::zip(op->getResults(), copy->getResults()))
    made.setType(typeOf(result));
  if (auto constant = dyn_cast<arith::ConstantOp>(copy))
    if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
      constant.setValueAttr(cast<TypedAttr>(
          cast<Attribute>(splat.resizeSplat(cast<ShapedType>(constant.getType())))));
}

} // namespace quern::raise

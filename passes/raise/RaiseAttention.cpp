// --quern-raise-attention: a product, a softmax and a product are attention among rows.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

#include <cmath>
#include <random>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-attention"};

/// A mask is written in some twenty nodes.
constexpr size_t kMostOps = 64;

bool isParallel(Operation *op) {
  if (isa<ReshapeOp, tensor::ExtractSliceOp, tensor::ConcatOp>(op))
    return true;
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() == 0 && generic->getNumResults() == 1;
}

/// What is added to scores before the softmax: scores = factor * product + bias.
struct Scores {
  Product product;
  double factor = 1;
  Value bias{}; ///< null: nothing is added
};

/// Numbers for a piece's leaf that is not the product: masks and positions are small integers.
reference::Tensor someNumbers(Type element, const std::vector<int64_t> &shape, uint64_t seed) {
  reference::Tensor tensor = normalNumbers(element, shape, seed);
  std::mt19937_64 generator(seed);
  for (int64_t &number : tensor.ints)
    number = static_cast<int64_t>(generator() >> 63);
  return tensor;
}

class ScoreReader {
public:
  ScoreReader(Value scores, OpBuilder &builder) : scores(scores), builder(builder) {}

  /// Null with the reason in `why`.
  std::optional<Scores> read() {
    if (auto product = productOf(scores.getDefiningOp()))
      return Scores{*product};
    if (!isParallel(scores.getDefiningOp()))
      return miss("its scores are no function of a product");
    Piece piece(scores.getDefiningOp());
    for (;;) {
      for (auto [i, leaf] : llvm::enumerate(piece.leaves()))
        if (auto product = productOf(leaf.getDefiningOp()); product && leaf.hasOneUse())
          return describe(piece, i, *product);
      if (piece.ops().size() >= kMostOps || !piece.grow(isParallel))
        return miss("its scores are no function of a product that has no other reader");
    }
  }

  std::string why;

private:
  std::optional<Scores> miss(std::string reason) {
    why = std::move(reason);
    return std::nullopt;
  }

  std::optional<Scores> describe(const Piece &piece, size_t at, const Product &product) {
    if (piece.leaves()[at].getType() != scores.getType())
      return miss("the scores have another shape than the product");
    auto function = Function::of(piece);
    if (!function.ok())
      return miss(std::string(function.status().message()));
    const Type f32 = builder.getF32Type();
    std::optional<double> factor;
    bool added = false;
    SmallVector<bool> varies(4, false);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      std::vector<reference::Tensor> given;
      for (auto [i, leaf] : llvm::enumerate(piece.leaves()))
        given.push_back(someNumbers(cast<RankedTensorType>(leaf.getType()).getElementType(),
                                    function->shape(i), 7 * seed + i));
      const std::vector<double> product_of = given[at].floats;
      auto none = given;
      none[at] = *reference::Tensor::zeros(f32, function->shape(at));
      auto with = function->run(std::move(given));
      auto without = function->run(std::move(none));
      if (!with.ok() || !without.ok())
        return miss(std::string((with.ok() ? without : with).status().message()));
      for (size_t i = 0; i < product_of.size() && !factor; ++i)
        if (std::abs(without->floats[i]) < 100 && std::abs(product_of[i]) > 0.1)
          factor = (with->floats[i] - without->floats[i]) / product_of[i];
      for (size_t i = 0; i < product_of.size(); ++i) {
        const double b = without->floats[i], y = with->floats[i];
        added |= b != 0;
        const double expected = factor.value_or(1) * product_of[i] + b;
        if (!(close(y, expected) || std::abs(y - expected) <= 1e-6 * std::abs(b) || y == b))
          return miss("its scores are not a product times a number and something added");
        if (y == b && std::isfinite(b) && std::abs(b) < 1e4 && std::abs(product_of[i]) > 0.1)
          return miss("some of its scores are replaced by small numbers");
      }
      note_variation(*without, varies);
    }
    if (!factor)
      return miss("no score is left by what is added to them");
    return Scores{product, *factor, added ? bias(piece, at, varies) : Value()};
  }

  /// Of which dimensions what is added is a function.
  void note_variation(const reference::Tensor &bias, SmallVector<bool> &varies) const {
    const auto rank = bias.shape.size();
    varies.resize(rank, false);
    int64_t stride = 1;
    for (size_t dim = rank; dim-- > 0; stride *= bias.shape[dim])
      for (int64_t i = 0; i < bias.count(); ++i) {
        const int64_t first = i - i / stride % bias.shape[dim] * stride;
        varies[dim] = varies[dim] || bias.floats[static_cast<size_t>(i)] !=
                                         bias.floats[static_cast<size_t>(first)];
      }
  }

  /// The piece of zeros in the product's place, one element of each dimension that it does not
  /// depend on.
  Value bias(const Piece &piece, size_t at, ArrayRef<bool> varies) {
    const auto type = cast<RankedTensorType>(scores.getType());
    const Location loc = piece.root()->getLoc();
    Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
    Value empty = tensor::EmptyOp::create(builder, loc, type, sizesOf(builder, loc, type));
    Value zeros = linalg::FillOp::create(builder, loc, zero, empty).getResult(0);
    IRMapping mapping;
    mapping.map(piece.leaves()[at], zeros);
    Value whole;
    for (Operation *op : piece.inOrder()) {
      Operation *copy = builder.clone(*op, mapping);
      if (op == piece.root())
        whole = copy->getResult(0);
    }
    SmallVector<OpFoldResult> offsets, sizes, strides;
    SmallVector<DimSize> dims;
    for (unsigned dim = 0; dim < type.getRank(); ++dim) {
      offsets.push_back(builder.getIndexAttr(0));
      strides.push_back(builder.getIndexAttr(1));
      dims.push_back(varies[dim] ? dimOf(type, dim) : DimSize{1, {}});
      if (!ShapedType::isDynamic(dims.back().size))
        sizes.push_back(builder.getIndexAttr(dims.back().size));
      else
        sizes.push_back(
            SizeOp::create(builder, loc, builder.getIndexType(), dims.back().name).getResult());
    }
    return tensor::ExtractSliceOp::create(builder, loc, tensorOf(dims, type.getElementType()),
                                          whole, offsets, sizes, strides);
  }

  Value scores;
  OpBuilder &builder;
};

class AttentionRaiser {
public:
  explicit AttentionRaiser(linalg::SoftmaxOp softmax) : softmax(softmax), builder(softmax) {}

  /// Whether it was attention; otherwise `why` says why not.
  bool raise() {
    const auto type = cast<RankedTensorType>(softmax.getInput().getType());
    if (!type.getElementType().isF32() ||
        static_cast<int64_t>(softmax.getDimension()) != type.getRank() - 1)
      return miss("its softmax is not over the last dimension of float32 numbers");
    if (!findValues())
      return false;
    // Where all operands are.
    builder.setInsertionPoint(values.op);
    ScoreReader reader(softmax.getInput(), builder);
    auto found = reader.read();
    if (!found)
      return miss(reader.why);
    scores = *found;
    return replace();
  }

  std::string why;

private:
  bool miss(std::string reason) {
    why = std::move(reason);
    return false;
  }

  bool findValues() {
    Value last = softmax.getResult()[0];
    while (!last.use_empty()) {
      // Of several readers the last: the others are parts of what it computes.
      Operation *reader = nullptr;
      for (Operation *user : last.getUsers())
        if (!reader || reader->isBeforeInBlock(user))
          reader = user;
      if (auto product = productOf(reader); product && last.hasOneUse()) {
        values = *product;
        transposed = product->op.getInputs()[1] == last;
        return true;
      }
      if (!isParallel(reader) || !isIdentity(reader, last))
        break;
      last = reader->getResult(0);
    }
    return miss("no product alone reads its softmax");
  }

  /// Whether the op gives the numbers of `weights`, a softmax, as they are, and nothing else reads
  /// these; whether it gives 0 for what is none is noted.
  bool isIdentity(Operation *op, Value weights) {
    Piece piece(op);
    while (piece.leaves() != ArrayRef<Value>(weights) || !allReadersIn(weights, piece))
      if (piece.ops().size() >= kMostOps || piece.leaves().empty() || !piece.grow(isParallel))
        return false;
    if (op->getResult(0).getType() != weights.getType())
      return false;
    auto function = Function::of(piece);
    if (!function.ok())
      return false;
    reference::Tensor given = normalNumbers(builder.getF32Type(), function->shape(0), 1);
    for (double &number : given.floats)
      number = static_cast<float>(std::abs(number) / 8);
    if (given.floats.empty())
      return false;
    const std::vector<double> before = given.floats;
    auto none = given;
    std::ranges::fill(none.floats, std::nan(""));
    auto after = function->run({std::move(given)});
    auto of_none = function->run({std::move(none)});
    if (!after.ok() || !of_none.ok() || after->floats != before)
      return false;
    nan_is_zero |= of_none->floats[0] == 0;
    return true;
  }

  static bool allReadersIn(Value value, const Piece &piece) {
    return llvm::all_of(value.getUsers(), [&](Operation *user) { return piece.contains(user); });
  }

  /// A value without the numbers that all of it is multiplied with, which go into `factor`.
  Value withoutFactor(Value value, double &factor) {
    while (Operation *op = value.getDefiningOp()) {
      if (!isPointwise(op) || !value.hasOneUse())
        return value;
      auto meaning = meaningOf(Piece(op));
      if (!meaning ||
          (meaning->kind != Meaning::Kind::Scale && meaning->kind != Meaning::Kind::Same))
        return value;
      factor *= meaning->factor;
      value = meaning->first;
    }
    return value;
  }

  bool replace() {
    Product &qk = scores.product;
    // Dimensions of the scores: outer ones, then queries, then keys.
    const AffineMap result = qk.map(2);
    const auto rank = result.getNumResults();
    const bool swapped = result.getDimPosition(rank - 1) == qk.m;
    const unsigned query = swapped ? qk.n : qk.m, key = swapped ? qk.m : qk.n;
    if (result.getDimPosition(rank - 1) != key || result.getDimPosition(rank - 2) != query)
      return miss("its scores' last dimensions are not queries and keys");
    // In the second product keys are what is summed over, and queries the softmax's side.
    const AffineMap weights = values.map(transposed ? 1 : 0);
    if (weights.getNumResults() != rank || weights.getDimPosition(rank - 1) != values.k ||
        weights.getDimPosition(rank - 2) != (transposed ? values.n : values.m))
      return miss("the product does not sum over what the softmax normalized");
    if (rank > 4)
      return miss("it has more dimensions than sequences and heads");
    SmallVector<unsigned> scoreOuter, valueOuter;
    for (unsigned i = 0; i + 2 < rank; ++i) {
      scoreOuter.push_back(result.getDimPosition(i));
      valueOuter.push_back(weights.getDimPosition(i));
    }
    const auto shape = cast<RankedTensorType>(softmax.getInput().getType());
    const bool heads_are_told = rank == 4 && !shape.isDynamicDim(1);
    if (rank == 4 && !heads_are_told)
      return miss("the number of its heads is not fixed");

    double factor = scores.factor;
    Value q = withoutFactor(swapped ? qk.right() : qk.left(), factor);
    Value k = withoutFactor(swapped ? qk.left() : qk.right(), factor);
    Value v = transposed ? values.left() : values.right();
    Value queryRows = rows(q, qk.map(swapped ? 1 : 0), scoreOuter, query, qk.k);
    Value keyRows = rows(k, qk.map(swapped ? 0 : 1), scoreOuter, key, qk.k);
    Value valueRows = rows(v, values.map(transposed ? 0 : 1), valueOuter, values.k,
                           transposed ? values.m : values.n);
    if (!queryRows || !keyRows || !valueRows)
      return miss("a head's numbers are not of a fixed number");

    const Location loc = softmax.getLoc();
    const int64_t heads = heads_are_told ? shape.getDimSize(1) : 1;
    const RankedTensorType made =
        rowsType(builder.getContext(), rowsOf(queryRows.getType()), colsOf(valueRows.getType()));
    Value mask = scores.bias ? maskOf(scores.bias) : Value();
    const symbols::Dim sequences = rank > 2 ? countOf(dimOf(shape, 0)) : symbols::Dim(1);
    auto op = AttentionRowsOp::create(
        builder, loc, made, queryRows, keyRows, valueRows, /*batch=*/Value(), /*bias=*/Value(),
        mask, builder.getI64IntegerAttr(heads), builder.getI64IntegerAttr(heads),
        builder.getF32FloatAttr(static_cast<float>(factor)), builder.getI64IntegerAttr(0),
        builder.getI64IntegerAttr(0), UnitAttr(), builder.getF32FloatAttr(0), DenseI32ArrayAttr(),
        builder.getStringAttr(sequences.text()), nan_is_zero ? builder.getUnitAttr() : UnitAttr());
    giveBack(op.getResult(), valueOuter, heads);
    kRemarks.hit(softmax) << say("attention of {0} heads{1}", heads, mask ? ", masked" : "");
    return true;
  }

  /// A product's operand as rows [sequences * positions, heads * numbers].
  Value rows(Value operand, AffineMap map, ArrayRef<unsigned> outer, unsigned position,
             unsigned number) {
    auto type = cast<RankedTensorType>(operand.getType());
    auto place = [&](unsigned loop) {
      for (unsigned i = 0; i < map.getNumResults(); ++i)
        if (map.getDimPosition(i) == loop)
          return i;
      return ~0u;
    };
    SmallVector<unsigned> order;
    if (!outer.empty())
      order.push_back(place(outer[0]));
    order.push_back(place(position));
    for (unsigned loop : outer.drop_front(outer.empty() ? 0 : 1))
      order.push_back(place(loop));
    order.push_back(place(number));
    if (llvm::is_contained(order, ~0u) || type.isDynamicDim(order.back()))
      return {};
    const Location loc = softmax.getLoc();
    Value moved = permuted(builder, loc, operand, order);
    if (outer.size() < 2)
      return asRows(builder, loc, moved);
    // The last two dimensions, heads and numbers, are columns.
    type = cast<RankedTensorType>(moved.getType());
    SmallVector<DimSize> dims;
    for (unsigned i = 0; i + 2 < type.getRank(); ++i)
      dims.push_back(dimOf(type, i));
    dims.push_back({type.getDimSize(type.getRank() - 2) * type.getDimSize(type.getRank() - 1), {}});
    const RankedTensorType flat = rowsOfTensor(tensorOf(dims, type.getElementType()));
    return flat ? asTensor(builder, loc, moved, flat) : Value();
  }

  /// What is added to scores, of four dimensions.
  Value maskOf(Value bias) {
    auto type = cast<RankedTensorType>(bias.getType());
    SmallVector<DimSize> dims;
    const auto rank = static_cast<unsigned>(type.getRank());
    for (unsigned i = 0; i < rank; ++i) {
      // [sequences, queries, keys] has one head.
      if (rank == 3 && i == 1)
        dims.push_back({1, {}});
      dims.push_back(dimOf(type, i));
    }
    while (dims.size() < 4)
      dims.insert(dims.begin(), DimSize{1, {}});
    return asTensor(builder, bias.getLoc(), bias, tensorOf(dims, type.getElementType()));
  }

  /// The result as the second product had it.
  void giveBack(Value made, ArrayRef<unsigned> outer, int64_t heads) {
    const auto type = cast<RankedTensorType>(values.op.getResult(0).getType());
    const AffineMap map = values.map(2);
    auto place = [&](unsigned loop) {
      for (unsigned i = 0; i < map.getNumResults(); ++i)
        if (map.getDimPosition(i) == loop)
          return i;
      llvm_unreachable("the product has all its parallel loops in its result");
    };
    // [sequences, queries, heads, numbers], of which dimension i is the result's order[i].
    SmallVector<unsigned> of;
    if (!outer.empty())
      of.push_back(place(outer[0]));
    of.push_back(place(transposed ? values.n : values.m));
    if (outer.size() > 1)
      of.push_back(place(outer[1]));
    of.push_back(place(transposed ? values.m : values.n));
    SmallVector<DimSize> dims;
    for (unsigned dim : of)
      dims.push_back(dimOf(type, dim));
    const Location loc = values.op.getLoc();
    OpBuilder after(values.op);
    Value tensor = asTensor(after, loc, made, tensorOf(dims, type.getElementType()));
    SmallVector<unsigned> order(of.size());
    for (auto [i, dim] : llvm::enumerate(of))
      order[dim] = static_cast<unsigned>(i);
    values.op.getResult(0).replaceAllUsesWith(permuted(after, loc, tensor, order));
  }

  linalg::SoftmaxOp softmax;
  OpBuilder builder;
  Product values;
  Scores scores;
  bool transposed = false; ///< the softmax is the product's right operand
  bool nan_is_zero = false;
};

struct RaiseAttentionPass : impl::RaiseAttentionBase<RaiseAttentionPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      for (auto softmax : llvm::to_vector(entry.getOps<linalg::SoftmaxOp>())) {
        AttentionRaiser raiser(softmax);
        if (raiser.raise()) {
          ++numRaised;
        } else {
          ++numMissed;
          kRemarks.miss(softmax) << say("{0}", raiser.why);
        }
      }
      eraseDead(entry.getBody().front());
    }
  }
};
} // namespace
} // namespace quern

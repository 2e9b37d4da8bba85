// --quern-raise-attention: a product, a softmax and a product are attention among rows.
#include "passes/analysis/Entries.h"
#include "passes/analysis/EqualSizes.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Heads.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rows.h"
#include "passes/raise/Scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-attention"};

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
    auto found = readScores(builder, softmax.getInput(), why);
    if (!found)
      return false;
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
  /// these; whether it gives 0 for what is none, or where no score is more than -infinity, is
  /// noted.
  bool isIdentity(Operation *op, Value weights) {
    Piece piece(op);
    while (!llvm::is_contained(piece.leaves(), weights) || !allReadersIn(weights, piece) ||
           !llvm::all_of(piece.leaves(),
                         [&](Value leaf) { return leaf == weights || isLargestScore(leaf); }))
      if (piece.ops().size() >= kMostMaskOps || piece.leaves().empty() || !piece.grow(isParallel))
        return false;
    if (op->getResult(0).getType() != weights.getType())
      return false;
    auto function = Function::of(piece);
    if (!function.ok())
      return false;
    std::vector<reference::Tensor> given, none;
    std::vector<double> before;
    for (auto [i, leaf] : llvm::enumerate(piece.leaves())) {
      given.push_back(normalNumbers(builder.getF32Type(), function->shape(i), 1));
      for (double &number : given.back().floats)
        number = static_cast<float>(std::abs(number) / 8);
      none.push_back(given.back());
      if (leaf == weights)
        before = given.back().floats;
      std::ranges::fill(none.back().floats,
                        leaf == weights ? std::nan("") : -std::numeric_limits<double>::infinity());
    }
    if (before.empty())
      return false;
    auto after = function->run(std::move(given));
    auto of_none = function->run(std::move(none));
    if (!after.ok() || !of_none.ok() || after->floats != before)
      return false;
    nan_is_zero |= of_none->floats[0] == 0;
    return true;
  }

  /// Whether the value is the largest of each row of scores.
  bool isLargestScore(Value value) {
    auto generic = value.getDefiningOp<linalg::GenericOp>();
    if (!generic || generic.getNumReductionLoops() != 1)
      return false;
    Piece piece(generic);
    if (piece.leaves() != ArrayRef<Value>(softmax.getInput()))
      return false;
    auto function = Function::of(piece);
    if (!function.ok())
      return false;
    const reference::Tensor given = normalNumbers(builder.getF32Type(), function->shape(0), 2);
    auto made = function->run({given});
    const auto keys = static_cast<size_t>(given.shape.back());
    if (!made.ok() || made->floats.size() * keys != given.floats.size())
      return false;
    for (size_t i = 0; i < made->floats.size(); ++i)
      if (made->floats[i] !=
          *std::max_element(given.floats.begin() + static_cast<ptrdiff_t>(i * keys),
                            given.floats.begin() + static_cast<ptrdiff_t>((i + 1) * keys)))
        return false;
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
    Value queries = inOrder(q, qk.map(swapped ? 1 : 0), scoreOuter, query, qk.k);
    Value keys = inOrder(k, qk.map(swapped ? 0 : 1), scoreOuter, key, qk.k);
    Value given = inOrder(v, values.map(transposed ? 0 : 1), valueOuter, values.k,
                          transposed ? values.m : values.n);
    if (!queries || !keys || !given)
      return miss("a head's numbers are not of a fixed number");
    const int64_t heads = heads_are_told ? shape.getDimSize(1) : 1;
    int64_t kvHeads = heads;
    if (heads > 1) {
      Value sharedKeys = beforeRepeat(builder, keys), sharedValues = beforeRepeat(builder, given);
      if (sharedKeys && sharedValues &&
          headsOf(sharedKeys.getType()) == headsOf(sharedValues.getType())) {
        keys = withoutFactor(sharedKeys, factor);
        given = sharedValues;
        kvHeads = headsOf(keys.getType());
      }
    }
    Value queryRows = rows(queries), keyRows = rows(keys), valueRows = rows(given);
    if (!queryRows || !keyRows || !valueRows)
      return miss("the number of its rows is no product of sizes");

    if (!isCountedAsKeys(valueRows, keyRows))
      return miss("the sizes that count its keys and its values are not known to be equal");

    const Location loc = softmax.getLoc();
    const RankedTensorType made = rowsType(builder.getContext(), rowsOf(queryRows.getType()),
                                           colsOf(valueRows.getType()) / kvHeads * heads);
    Value mask = scores.bias ? maskOf(scores.bias) : Value();
    const symbols::Dim sequences = rank > 2 ? countOf(dimOf(shape, 0)) : symbols::Dim(1);
    auto op = AttentionRowsOp::create(
        builder, loc, made, queryRows, keyRows, valueRows, /*batch=*/Value(), /*bias=*/Value(),
        mask, builder.getI64IntegerAttr(heads), builder.getI64IntegerAttr(kvHeads),
        builder.getF32FloatAttr(static_cast<float>(factor)), builder.getI64IntegerAttr(0),
        builder.getI64IntegerAttr(0), UnitAttr(),
        builder.getF32FloatAttr(static_cast<float>(scores.softcap)), DenseI32ArrayAttr(),
        builder.getStringAttr(sequences.text()), nan_is_zero ? builder.getUnitAttr() : UnitAttr());
    if (!isAccepted(op, why))
      return false;
    giveBack(op.getResult(), valueOuter, heads);
    kRemarks.hit(softmax) << say("attention of {0} heads{1}{2}", heads,
                                 kvHeads == heads ? "" : llvm::formatv(" over {0}", kvHeads).str(),
                                 mask ? ", masked" : "");
    return true;
  }

  /// A product's operand as [sequences, positions, heads, numbers], without what is not there.
  Value inOrder(Value operand, AffineMap map, ArrayRef<unsigned> outer, unsigned position,
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
    return permuted(builder, softmax.getLoc(), operand, order);
  }

  static int64_t headsOf(Type type) { return cast<RankedTensorType>(type).getDimSize(2); }

  /// [sequences, positions, heads, numbers] as rows [sequences * positions, heads * numbers].
  Value rows(Value moved) {
    const auto type = cast<RankedTensorType>(moved.getType());
    if (type.getRank() < 4)
      return asRows(builder, softmax.getLoc(), moved);
    // The last two dimensions, heads and numbers, are columns.
    SmallVector<DimSize> dims;
    for (unsigned i = 0; i + 2 < type.getRank(); ++i)
      dims.push_back(dimOf(type, i));
    dims.push_back({type.getDimSize(type.getRank() - 2) * type.getDimSize(type.getRank() - 1), {}});
    const RankedTensorType flat = rowsOfTensor(tensorOf(dims, type.getElementType()));
    return flat ? asTensor(builder, softmax.getLoc(), moved, flat) : Value();
  }

  /// Whether there are as many rows of values as of keys; where the entry demands that of sizes of
  /// other names, values are counted by the keys' then.
  bool isCountedAsKeys(Value &values, Value keys) {
    const StringRef own = rowsOf(values.getType()), wanted = rowsOf(keys.getType());
    if (own == wanted)
      return true;
    const auto a = symbols::parse_dim(own.str()), b = symbols::parse_dim(wanted.str());
    if (!a.ok() || !b.ok() || !areEqual(softmax->getParentOfType<func::FuncOp>(), *a, *b))
      return false;
    values = asTensor(builder, softmax.getLoc(), values,
                      rowsType(builder.getContext(), wanted, colsOf(values.getType())));
    return true;
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
    replaceUnderPermutations(values.op.getResult(0), permuted(after, loc, tensor, order));
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

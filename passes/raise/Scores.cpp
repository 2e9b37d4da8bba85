// See Scores.h.
#include "passes/raise/Scores.h"

#include "ir/quern/AttributeNames.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Piece.h"
#include "passes/raise/Positions.h"
#include "passes/raise/Rows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>

using namespace mlir;

namespace quern::raise {
namespace {

/// What a score that is replaced is at most, so that it may be taken for a hidden one.
constexpr double kReplaced = -1e4;
/// What is lower swallows a score that it is added to: replaced or not is the same.
constexpr double kSwallows = -1e15;

/// Elements of scores that a trial has.
constexpr int64_t kMostElements = int64_t{1} << 20;
constexpr size_t kMostIntegers = 32;

/// Numbers for a piece's leaf that is not the product: masks and positions are small integers, or
/// `special`, one that the piece may compare them with.
reference::Tensor someNumbers(Type element, const std::vector<int64_t> &shape, uint64_t seed,
                              std::optional<int64_t> special) {
  reference::Tensor tensor = normalNumbers(element, shape, seed);
  std::mt19937_64 generator(seed);
  const auto isSpecial = [&](uint64_t drawn) { return special && drawn % 3 == 0; };
  for (int64_t &number : tensor.ints)
    if (const uint64_t drawn = generator(); isSpecial(drawn))
      number = reference::wrapped(*special, reference::width_of(tensor.element));
    else
      number = static_cast<int64_t>(drawn >> 63);
  for (double &number : tensor.floats)
    if (isSpecial(generator()))
      number = static_cast<double>(*special);
  return tensor;
}

/// Of which of its dimensions a value of a piece is a function, where `product` is zeros: what its
/// ops read says so, since small sizes and few numbers need not show it.
class Dependence {
public:
  Dependence(const Piece &piece, Value product) : piece(piece), product(product) {}

  SmallVector<bool> of(Value value) {
    if (auto at = known.find(value); at != known.end())
      return at->second;
    SmallVector<bool> found = find(value);
    known[value] = found;
    return found;
  }

private:
  static SmallVector<bool> all(RankedTensorType type) {
    return llvm::map_to_vector(type.getShape(), [](int64_t size) { return size != 1; });
  }

  SmallVector<bool> find(Value value) {
    const auto type = cast<RankedTensorType>(value.getType());
    Operation *op = value.getDefiningOp();
    const SmallVector<bool> none(static_cast<size_t>(type.getRank()), false);
    if (value == product || isa_and_nonnull<tensor::EmptyOp, linalg::FillOp>(op))
      return none;
    if (!piece.contains(op))
      return all(type);
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return ofGeneric(generic, value, type);
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op);
        slice && slice.getSourceType().getRank() == type.getRank())
      return of(slice.getSource());
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      if (isa<SplatElementsAttr>(constant.getValue()))
        return none;
    if (isa<ReshapeOp>(op) && llvm::none_of(of(op->getOperand(0)), [](bool v) { return v; }))
      return none;
    return all(type);
  }

  SmallVector<bool> ofGeneric(linalg::GenericOp generic, Value value, RankedTensorType type) {
    SmallVector<bool> loops(generic.getNumLoops(), false);
    generic.getRegion().walk([&](linalg::IndexOp index) {
      if (!index->use_empty())
        loops[static_cast<size_t>(index.getDim())] = true;
    });
    for (OpOperand &operand : generic->getOpOperands()) {
      if (!isa<RankedTensorType>(operand.get().getType()))
        continue;
      const SmallVector<bool> varies = of(operand.get());
      const AffineMap map = generic.getMatchingIndexingMap(&operand);
      for (size_t i = 0; i < varies.size(); ++i)
        for (unsigned loop = 0; varies[i] && loop < loops.size(); ++loop)
          loops[loop] =
              loops[loop] || map.getResult(static_cast<unsigned>(i)).isFunctionOfDim(loop);
    }
    const AffineMap map = generic.getIndexingMapMatchingResult(cast<OpResult>(value));
    SmallVector<bool> found;
    for (auto [i, to] : llvm::enumerate(map.getResults())) {
      bool varies = false;
      for (unsigned loop = 0; loop < loops.size(); ++loop)
        varies = varies || (loops[loop] && to.isFunctionOfDim(loop));
      found.push_back(varies && type.getDimSize(static_cast<int64_t>(i)) != 1);
    }
    return found;
  }

  const Piece &piece;
  Value product;
  llvm::DenseMap<Value, SmallVector<bool>> known;
};

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
      if (piece.ops().size() >= kMostMaskOps || !piece.grow(isParallel))
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
    double cap = 0;
    const SmallVector<bool> varies = Dependence(piece, piece.leaves()[at]).of(scores);
    bool added = llvm::is_contained(varies, true);
    std::optional<double> replaced; // what takes the place of scores
    const bool indexed = findIntegers(piece);
    const PositionUse positions = positionsIn(piece);
    const auto larger_sizes = largerSizes(positions);
    if (!larger_sizes)
      return miss("its scores may be others between positions farther apart than can be tried");
    SmallVector<Value> masks; // leaves that are what is added
    for (Value leaf : piece.leaves())
      if (leaf != piece.leaves()[at] && spreadsOver(leaf))
        masks.push_back(leaf);
    const uint64_t last = 4 + integers.size();
    for (uint64_t seed = 1; seed <= last; ++seed) {
      if (seed == last) {
        // As far as what its ops compare positions with.
        auto larger = indexed ? Function::of(piece, *larger_sizes)
                              : absl::StatusOr<Function>(absl::OutOfRangeError(""));
        if (!larger.ok())
          break;
        function = std::move(larger);
      }
      std::vector<reference::Tensor> given;
      std::optional<int64_t> special;
      if (seed > 3)
        special = seed == last ? 1 : *std::next(integers.begin(), static_cast<ptrdiff_t>(seed - 4));
      for (auto [i, leaf] : llvm::enumerate(piece.leaves()))
        given.push_back(someNumbers(cast<RankedTensorType>(leaf.getType()).getElementType(),
                                    function->shape(i), 7 * seed + i,
                                    i == at ? std::nullopt : special));
      for (double &number : given[at].floats)
        number *= 8;
      const std::vector<double> product_of = given[at].floats;
      const auto leaves = given;
      auto none = given;
      none[at] = *reference::Tensor::zeros(f32, function->shape(at));
      auto with = function->run(std::move(given));
      auto without = function->run(std::move(none));
      if (!with.ok() || !without.ok())
        return miss(std::string((with.ok() ? without : with).status().message()));
      if (!factor)
        std::tie(factor, cap) = factorOf(product_of, with->floats, without->floats, piece);
      for (size_t i = 0; i < product_of.size(); ++i) {
        const double b = without->floats[i], y = with->floats[i];
        added |= b != 0;
        const double expected = capped(factor.value_or(1) * product_of[i], cap) + b;
        if (!(close(y, expected) || std::abs(y - expected) <= 1e-6 * std::abs(b) || y == b))
          return miss("its scores are not a product times a number and something added");
        if (!std::isfinite(b) || std::abs(product_of[i]) <= 0.1)
          continue;
        if (y == b && b > kReplaced)
          return miss("some of its scores are replaced by small numbers");
        if (y == b && b > kSwallows && replaced.value_or(b) != b)
          return miss("some of its scores are replaced by several numbers");
        if (y == b && b > kSwallows)
          replaced = b;
      }
      for (size_t i = 0; replaced && i < product_of.size(); ++i)
        if (const double b = without->floats[i], y = with->floats[i];
            b <= kReplaced && std::isfinite(b) && (b != *replaced || y != b))
          return miss("some of its scores are replaced, and to others much is added");
      llvm::erase_if(masks, [&](Value mask) {
        const auto *leaf = llvm::find(piece.leaves(), mask);
        return !isSpread(leaves[static_cast<size_t>(leaf - piece.leaves().begin())], *without);
      });
    }
    if (!factor)
      return miss("no score is left by what is added to them");
    Scores found{.product = product, .factor = *factor, .softcap = cap};
    // A leaf stands for the piece if nothing else of it knows a position.
    if (added && masks.size() == 1 && piece.leaves().size() == 2 && !indexed && !replaced)
      found.bias = masks.front();
    else if (added)
      found.bias = bias(piece, at, varies, replaced.has_value());
    return found;
  }

  /// The integers in the piece, by which it may tell positions and inputs apart; whether it asks
  /// for positions.
  bool findIntegers(const Piece &piece) {
    bool indexed = false;
    for (Operation *op : piece.ops())
      op->walk([&](Operation *inner) {
        indexed |= isa<linalg::IndexOp>(inner);
        auto constant = dyn_cast<arith::ConstantOp>(inner);
        if (!constant)
          return;
        Attribute value = constant.getValue();
        if (auto dense = dyn_cast<SplatElementsAttr>(value))
          value = dense.getSplatValue<Attribute>();
        std::optional<int64_t> found;
        if (auto number = dyn_cast<FloatAttr>(value);
            number && std::abs(number.getValueAsDouble()) < 1e9)
          found = static_cast<int64_t>(std::ceil(number.getValueAsDouble()));
        else if (auto integer = dyn_cast<IntegerAttr>(value);
                 integer && !integer.getType().isInteger(1) && integer.getValue().isSignedIntN(62))
          found = integer.getValue().getSExtValue();
        if (found && integers.size() < kMostIntegers)
          integers.insert({*found, *found + 1});
      });
    return indexed;
  }

  /// Sizes that are beyond the distances that the piece may know; none where a trial of them would
  /// have too many elements.
  std::optional<std::map<std::string, int64_t>> largerSizes(const PositionUse &positions) const {
    const auto type = cast<RankedTensorType>(scores.getType());
    int64_t fixed = 2;
    for (int64_t size : type.getShape().drop_back(2))
      fixed *= ShapedType::isDynamic(size) ? 1 : std::max<int64_t>(size, 1);
    const auto most = static_cast<int64_t>(
        std::sqrt(static_cast<double>(kMostElements) / static_cast<double>(fixed)));
    std::set<std::string> lengths;
    for (unsigned dim : {2U, 3U})
      if (type.getRank() == 4)
        lengths.merge(countOf(dimOf(type, dim)).symbols());
    std::map<std::string, int64_t> sizes;
    auto symbols =
        scores.getDefiningOp()->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(
            attrs::kSizes);
    for (NamedAttribute symbol : symbols ? symbols.getValue() : ArrayRef<NamedAttribute>()) {
      const int64_t bound = cast<IntegerAttr>(symbol.getValue()).getInt();
      const std::string name = symbol.getName().str();
      if (!lengths.contains(name)) {
        sizes[name] = 2;
        continue;
      }
      const int64_t wanted = positions.compared && positions.scaled
                                 ? bound
                                 : std::min(bound, 2 * positions.reach(bound) + 25);
      if (positions.compared && wanted > most)
        return std::nullopt;
      sizes[name] = std::max<int64_t>(2, std::min(wanted, most));
    }
    return sizes;
  }

  static double capped(double score, double cap) {
    return cap > 0 ? cap * std::tanh(score / cap) : score;
  }

  /// What the product is multiplied with, and one of the piece's constants that bounds it then, or
  /// 0; of two scores to which little is added.
  static std::pair<std::optional<double>, double> factorOf(const std::vector<double> &product,
                                                           const std::vector<double> &with,
                                                           const std::vector<double> &without,
                                                           const Piece &piece) {
    // The smallest and the largest, between which a bound would show.
    std::optional<size_t> least, most;
    for (size_t i = 0; i < product.size(); ++i) {
      if (!(std::abs(without[i]) < 100 && std::abs(product[i]) > 0.1))
        continue;
      if (!least || std::abs(product[i]) < std::abs(product[*least]))
        least = i;
      if (!most || std::abs(product[i]) > std::abs(product[*most]))
        most = i;
    }
    if (!least)
      return {std::nullopt, 0};
    std::vector<double> caps = piece.constants();
    caps.insert(caps.begin(), 0);
    for (double cap : caps) {
      auto factor = [&](size_t i) {
        const double score = with[i] - without[i];
        return (cap > 0 ? cap * std::atanh(score / cap) : score) / product[i];
      };
      const double first = factor(*least);
      if (cap >= 0 && close(first, factor(*most)))
        return {first, cap};
    }
    return {std::nullopt, 0};
  }

  /// Whether the value is float32 of the scores' dimensions, some of them of one element.
  bool spreadsOver(Value value) const {
    const auto type = cast<RankedTensorType>(scores.getType());
    auto read = dyn_cast<RankedTensorType>(value.getType());
    if (!read || !read.getElementType().isF32() || read.getRank() != type.getRank())
      return false;
    for (unsigned i = 0; i < type.getRank(); ++i) {
      const DimSize a = dimOf(read, i), b = dimOf(type, i);
      if (a.size != 1 && (a.size != b.size || a.name != b.name))
        return false;
    }
    return true;
  }

  /// Whether `all` is `one`, whose dimensions of one element stand for all.
  static bool isSpread(const reference::Tensor &one, const reference::Tensor &all) {
    for (size_t i = 0; i < all.floats.size(); ++i) {
      auto rest = static_cast<int64_t>(i);
      int64_t at = 0, stride = 1;
      for (size_t dim = all.shape.size(); dim-- > 0;) {
        const int64_t index = rest % all.shape[dim];
        rest /= all.shape[dim];
        at += one.shape[dim] == 1 ? 0 : index * stride;
        stride *= one.shape[dim];
      }
      if (one.floats[static_cast<size_t>(at)] != all.floats[i])
        return false;
    }
    return true;
  }

  /// The piece of zeros in the product's place, one element of each dimension that it does not
  /// depend on; what replaces scores there as low as hides them whatever they are.
  Value bias(const Piece &piece, size_t at, ArrayRef<bool> varies, bool replaces) {
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
    Value bias = tensor::ExtractSliceOp::create(builder, loc, tensorOf(dims, type.getElementType()),
                                                whole, offsets, sizes, strides);
    return replaces ? hiding(bias) : bias;
  }

  /// The bias, the lowest float where it is what replaces scores: added to a score, it is what it
  /// was in its place, and a row of nothing else has equal weights.
  Value hiding(Value bias) {
    const auto type = cast<RankedTensorType>(bias.getType());
    const Location loc = bias.getLoc();
    Value empty = tensor::EmptyOp::create(builder, loc, type, sizesOf(builder, loc, type));
    const SmallVector<AffineMap> maps(
        2, builder.getMultiDimIdentityMap(static_cast<unsigned>(type.getRank())));
    const SmallVector<utils::IteratorType> parallel(static_cast<size_t>(type.getRank()),
                                                    utils::IteratorType::parallel);
    auto body = [](OpBuilder &b, Location at, ValueRange args) {
      auto number = [&](double value) {
        return arith::ConstantOp::create(b, at, b.getF32FloatAttr(static_cast<float>(value)));
      };
      Value low =
          arith::CmpFOp::create(b, at, arith::CmpFPredicate::OLE, args[0], number(kReplaced));
      Value finite =
          arith::MinimumFOp::create(b, at, args[0], number(std::numeric_limits<float>::lowest()));
      Value to = arith::SelectOp::create(b, at, low, finite, args[0]);
      linalg::YieldOp::create(b, at, to);
    };
    return linalg::GenericOp::create(builder, loc, type, bias, empty, maps, parallel, body)
        .getResult(0);
  }

  Value scores;
  OpBuilder &builder;
  std::set<int64_t> integers; ///< that the piece may compare inputs with
};

} // namespace

std::optional<Scores> readScores(OpBuilder &builder, Value scores, std::string &why) {
  ScoreReader reader(scores, builder);
  auto found = reader.read();
  why = reader.why;
  return found;
}

} // namespace quern::raise

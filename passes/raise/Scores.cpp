// See Scores.h.
#include "passes/raise/Scores.h"

#include "passes/raise/Meaning.h"
#include "passes/raise/Piece.h"
#include "passes/raise/Rows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

#include <cmath>
#include <random>
#include <tuple>

using namespace mlir;

namespace quern::raise {
namespace {

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
    bool added = false;
    SmallVector<bool> varies(4, false);
    SmallVector<Value> masks; // leaves that are what is added
    for (Value leaf : piece.leaves())
      if (leaf != piece.leaves()[at] && spreadsOver(leaf))
        masks.push_back(leaf);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      std::vector<reference::Tensor> given;
      for (auto [i, leaf] : llvm::enumerate(piece.leaves()))
        given.push_back(someNumbers(cast<RankedTensorType>(leaf.getType()).getElementType(),
                                    function->shape(i), 7 * seed + i));
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
        if (y == b && std::isfinite(b) && std::abs(b) < 1e4 && std::abs(product_of[i]) > 0.1)
          return miss("some of its scores are replaced by small numbers");
      }
      note_variation(*without, varies);
      llvm::erase_if(masks, [&](Value mask) {
        const auto *leaf = llvm::find(piece.leaves(), mask);
        return !isSpread(leaves[static_cast<size_t>(leaf - piece.leaves().begin())], *without);
      });
    }
    if (!factor)
      return miss("no score is left by what is added to them");
    Scores found{.product = product, .factor = *factor, .softcap = cap};
    if (added)
      found.bias = masks.empty() ? bias(piece, at, varies) : masks.front();
    return found;
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

} // namespace

std::optional<Scores> readScores(OpBuilder &builder, Value scores, std::string &why) {
  ScoreReader reader(scores, builder);
  auto found = reader.read();
  why = reader.why;
  return found;
}

} // namespace quern::raise

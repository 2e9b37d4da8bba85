// --quern-raise-norms: programs that normalize rows.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Rows.h"

#include <cmath>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISENORMS
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-norms"};

/// A layer norm of nine nodes, each of a constant, two casts.
constexpr size_t kMostOps = 48;

bool mayBePart(Operation *op) {
  if (isa<ReshapeOp>(op))
    return true;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || llvm::any_of(generic->getResultTypes(), [](Type type) {
        return !isa<FloatType>(cast<RankedTensorType>(type).getElementType());
      }))
    return false;
  return !readsByIndex(generic);
}

struct Norm {
  bool centered;
  double eps;
  Value input, weight, bias; ///< the latter two vectors, if there

  double at(const double *row, int64_t col, int64_t cols, double w, double b) const {
    double mean = 0, squares = 0;
    for (int64_t i = 0; centered && i < cols; ++i)
      mean += row[i] / static_cast<double>(cols);
    for (int64_t i = 0; i < cols; ++i)
      squares += (row[i] - mean) * (row[i] - mean) / static_cast<double>(cols);
    return (row[col] - mean) / std::sqrt(squares + eps) * w + b;
  }
};

class NormFinder {
public:
  explicit NormFinder(const Piece &piece) : piece(piece) {}

  std::optional<Norm> find() {
    const auto type = cast<RankedTensorType>(piece.root()->getResult(0).getType());
    SmallVector<size_t> vectors;
    std::optional<size_t> input;
    for (auto [i, leaf] : llvm::enumerate(piece.leaves())) {
      if (leaf.getType() == type && !input)
        input = i;
      else if (isVector(leaf, type))
        vectors.push_back(i);
      else
        return std::nullopt;
    }
    if (!input || vectors.size() > 2 || !hasReduction())
      return std::nullopt;
    if (!sample(*input, type.getElementType()))
      return std::nullopt;

    std::vector<double> eps = {0};
    for (double constant : piece.constants())
      if (constant > 0 && constant <= 0.1)
        eps.push_back(constant);
    constexpr size_t kNone = SIZE_MAX;
    SmallVector<std::pair<size_t, size_t>> orders = {{kNone, kNone}};
    if (vectors.size() == 1)
      orders = {{vectors[0], kNone}, {kNone, vectors[0]}};
    if (vectors.size() == 2)
      orders = {{vectors[0], vectors[1]}, {vectors[1], vectors[0]}};
    auto leaf = [&](size_t i) { return i == kNone ? Value() : piece.leaves()[i]; };
    for (bool centered : {true, false})
      for (double e : eps)
        for (auto [weight, bias] : orders) {
          Norm norm{centered, e, leaf(*input), leaf(weight), leaf(bias)};
          if (agrees(norm, given[*input].floats,
                     weight == kNone ? std::vector<double>() : given[weight].floats,
                     bias == kNone ? std::vector<double>() : given[bias].floats))
            return norm;
        }
    return std::nullopt;
  }

  /// Whether it was run, and so looked like a norm.
  bool looked = false;

private:
  bool hasReduction() const {
    return llvm::any_of(piece.ops(), [](Operation *op) {
      auto generic = dyn_cast<linalg::GenericOp>(op);
      return generic && generic.getNumReductionLoops() != 0;
    });
  }

  bool sample(size_t input, Type element) {
    auto function = Function::of(piece);
    if (!function.ok())
      return false;
    for (size_t i = 0; i < piece.leaves().size(); ++i)
      given.push_back(normalNumbers(element, function->shape(i), i + 1));
    cols = function->shape(input).back();
    // Rows of several scales, off centre: eps shows in those of the smallest.
    std::vector<double> &numbers = given[input].floats;
    if (static_cast<int64_t>(numbers.size()) < 2 * cols)
      return false;
    for (size_t i = 0; i < numbers.size(); ++i) {
      constexpr double kScales[] = {1, 1e-3, 30, 1e-5};
      numbers[i] =
          static_cast<float>((numbers[i] + 0.5) * kScales[i / static_cast<size_t>(cols) % 4]);
    }
    auto copy = given;
    auto output = function->run(std::move(copy));
    if (!output.ok() || output->floats.size() != numbers.size())
      return false;
    result = std::move(output->floats);
    looked = true;
    return true;
  }

  bool agrees(const Norm &norm, const std::vector<double> &x, const std::vector<double> &weight,
              const std::vector<double> &bias) const {
    // One column of each row is cheap and, all rows being other ones, tells enough; then all.
    for (int64_t step : {cols, int64_t{1}})
      for (int64_t i = 0; i < static_cast<int64_t>(x.size()); i += step) {
        const int64_t col = i % cols;
        const double w = weight.empty() ? 1 : weight[static_cast<size_t>(col)];
        const double b = bias.empty() ? 0 : bias[static_cast<size_t>(col)];
        if (!close(norm.at(&x[static_cast<size_t>(i - col)], col, cols, w, b),
                   result[static_cast<size_t>(i)]))
          return false;
        if (step == 1 && i >= 4 * cols)
          break;
      }
    return true;
  }

  const Piece &piece;
  int64_t cols = 0;
  std::vector<reference::Tensor> given;
  std::vector<double> result;
};

struct RaiseNormsPass : impl::RaiseNormsBase<RaiseNormsPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      // Last first: a norm ends with its bias.
      Block &block = entry.getBody().front();
      taken.clear();
      for (Operation *op = &block.back(), *before; op; op = before) {
        before = op->getPrevNode();
        if (mayBePart(op) && !isa<ReshapeOp>(op) && rowsOfTensor(op->getResult(0).getType()) &&
            cast<linalg::GenericOp>(op).getNumReductionLoops() == 0)
          raise(op);
      }
      eraseDead(block);
    }
  }

  void raise(Operation *root) {
    if (root->use_empty() || taken.contains(root))
      return;
    // The largest piece that is one: what centres a layer norm's rows lies before an rms_norm.
    std::optional<std::pair<Piece, Norm>> largest;
    Piece piece(root);
    bool looked = false;
    do {
      NormFinder finder(piece);
      if (auto norm = finder.find())
        largest.emplace(piece, *norm);
      looked |= finder.looked;
    } while (piece.ops().size() < kMostOps && piece.grow(mayBePart));
    if (largest && replace(largest->first, largest->second))
      return;
    if (looked) {
      kRemarks.miss(root) << say("sums over rows, but neither layer_norm nor rms_norm of them");
      ++numMissed;
    }
  }

  bool replace(const Piece &piece, const Norm &norm) {
    Operation *root = piece.root();
    OpBuilder builder(root);
    Value weight = norm.weight ? weightOf(builder, norm.weight) : Value();
    Value bias = norm.bias ? weightOf(builder, norm.bias) : Value();
    if ((norm.weight && !weight) || (norm.bias && !bias) || (!norm.centered && bias))
      return false;
    Value rows = asRows(builder, root->getLoc(), norm.input);
    const FloatAttr eps = builder.getF32FloatAttr(static_cast<float>(norm.eps));
    Value result;
    if (norm.centered)
      result = LayerNormOp::create(builder, root->getLoc(), rows.getType(), rows, weight, bias, eps,
                                   /*group=*/builder.getI64IntegerAttr(0));
    else
      result = RmsNormOp::create(builder, root->getLoc(), rows.getType(), rows, weight, eps,
                                 builder.getI64IntegerAttr(0), UnitAttr());
    if (std::string why; !isAccepted(result.getDefiningOp(), why)) {
      kRemarks.miss(root) << say("a norm, but {0}", why);
      return false;
    }
    kRemarks.hit(root) << say("{0} of {1} ops", norm.centered ? "layer_norm" : "rms_norm",
                              piece.ops().size());
    ++numRaised;
    root->getResult(0).replaceAllUsesWith(
        asTensor(builder, root->getLoc(), result, root->getResult(0).getType()));
    taken.insert_range(piece.ops());
    return true;
  }

  llvm::DenseSet<Operation *> taken; ///< parts of norms that are found
};
} // namespace
} // namespace quern

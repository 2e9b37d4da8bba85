// --quern-raise-masks: masks of attention among rows as functions of indices and of what hides
// keys.
#include "ir/quern/AttributeNames.h"
#include "ir/reference/Sizes.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/analysis/KeyMasks.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Piece.h"
#include "passes/raise/Positions.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISEMASKS
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-masks"};

/// A mask of an exported decoder is written in some sixty ops.
constexpr size_t kMostOps = 400;
/// Elements that a trial may compute, of all ops together.
constexpr int64_t kMostElements = int64_t{1} << 25;
/// What is lower hides a key, whatever its score is.
constexpr double kHides = -1e29;

/// What a mask is. left, right: how far to either side a query sees; none: to the end.
struct Found {
  std::optional<int64_t> left, right;
  bool hidesKeys = false;
  std::optional<KeyMask> keys; ///< by what they are hidden, if by one number a key
};

/// A mask of one run, [sequences, queries, keys], and what it was computed from.
struct Trial {
  std::vector<reference::Tensor> leaves;
  std::vector<double> values;
  int64_t sequences = 0, queries = 0, keys = 0;

  double at(int64_t b, int64_t p, int64_t j) const {
    return values[static_cast<size_t>((b * queries + p) * keys + j)];
  }
  /// What is added at key j where a query sees it.
  double own(int64_t b, int64_t j) const { return at(b, queries == 1 ? 0 : j, j); }
};

class MaskReader {
public:
  explicit MaskReader(Value mask)
      : mask(mask), type(cast<RankedTensorType>(mask.getType())), piece(mask.getDefiningOp()) {}

  std::optional<Found> read() {
    if (type.getDimSize(1) != 1)
      return miss("its mask depends on heads");
    if (type.getDimSize(3) == 1)
      return miss("its mask does not depend on keys");
    const DimSize queries = dimOf(type, 2), keys = dimOf(type, 3);
    if (queries.size != 1 && (queries.size != keys.size || queries.name != keys.name))
      return miss("its mask is not of as many queries as keys");
    while (
        piece.growBehind([](Operation *op) { return isGeneral(op) && !isa<WeightTensorOp>(op); }))
      if (piece.ops().size() > kMostOps)
        return miss("its mask is computed by more ops than are looked at");
    for (Value leaf : piece.leaves())
      if (!isa<BlockArgument>(leaf))
        return miss("its mask depends on more than the graph's inputs");
    findConstants();
    if (!chooseSizes())
      return std::nullopt;
    if (queries.size != 1 && !guess())
      return std::nullopt;
    return verify() ? std::optional(found) : std::nullopt;
  }

  std::string why;

private:
  bool fail(std::string reason) {
    why = std::move(reason);
    return false;
  }
  std::optional<Found> miss(std::string reason) {
    why = std::move(reason);
    return std::nullopt;
  }

  /// The numbers in the mask's ops: what they compare inputs and distances with.
  void findConstants() {
    scales = positionsIn(piece).scaled;
    for (Operation *op : piece.ops())
      op->walk([&](arith::ConstantOp constant) {
        auto note = [&](Attribute value) {
          std::optional<int64_t> found;
          if (auto integer = dyn_cast<IntegerAttr>(value);
              integer && integer.getValue().isSignedIntN(62))
            found = integer.getType().isInteger(1)
                        ? static_cast<int64_t>(integer.getValue().getZExtValue())
                        : integer.getValue().getSExtValue();
          else if (auto number = dyn_cast<FloatAttr>(value);
                   number && std::abs(number.getValueAsDouble()) < 1e9)
            found = static_cast<int64_t>(std::ceil(number.getValueAsDouble()));
          if (found) {
            constants.insert(*found);
            all.push_back(*found);
          }
        };
        auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
        if (!dense)
          note(constant.getValue());
        else if (dense.isSplat())
          note(dense.getSplatValue<Attribute>());
        else
          table = true;
      });
  }

  /// Sizes of trials: two small ones, and one beyond all distances that the mask may know.
  bool chooseSizes() {
    auto symbols = mask.getDefiningOp()->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(
        attrs::kSizes);
    const std::set<std::string> lengths = countOf(dimOf(type, 3)).symbols();
    std::map<std::string, int64_t> most;
    int64_t longest = std::max<int64_t>(0, type.getDimSize(3));
    for (NamedAttribute symbol : symbols ? symbols.getValue() : ArrayRef<NamedAttribute>()) {
      const int64_t bound = cast<IntegerAttr>(symbol.getValue()).getInt();
      most[symbol.getName().str()] = bound;
      if (lengths.contains(symbol.getName().str()))
        longest = std::max(longest, bound);
    }
    // A distance that no input reaches decides nothing.
    int64_t distance = 20;
    for (int64_t constant : all)
      if (constant > -longest && constant < longest)
        distance += std::abs(constant);
    const int64_t large = table || scales ? longest : std::min(longest, 2 * distance + 9);
    auto sized = [&](int64_t length, int64_t other) {
      std::map<std::string, int64_t> sizes;
      for (const auto &[name, bound] : most) {
        sizes[name] = std::min(bound, lengths.contains(name) ? length++ : other++);
        if (sizes[name] < 2)
          sizes[name] = 2;
      }
      return sizes;
    };
    sizes = {sized(large, 2), sized(7, 3), sized(12, 2)};
    reference::Sizes largest(sizes[0]);
    int64_t elements = 0;
    for (Operation *op : piece.ops())
      for (Type made : op->getResultTypes())
        if (auto tensor = dyn_cast<RankedTensorType>(made); tensor && !isa<tensor::EmptyOp>(op)) {
          const auto shape = largest.shape(tensor);
          const auto count =
              shape.ok() ? reference::element_count(*shape) : absl::StatusOr<int64_t>(0);
          elements += count.ok() ? *count : kMostElements;
        }
    if (elements > kMostElements)
      return fail("a number in its mask asks for larger sizes than can be tried");
    return true;
  }

  using Fill = llvm::function_ref<int64_t(std::mt19937_64 &)>;
  /// The mask of inputs whose numbers are `fill`'s.
  bool run(const std::map<std::string, int64_t> &at, uint64_t seed, Fill fill, Trial &trial) {
    auto function = Function::of(piece, at);
    if (!function.ok())
      return fail(std::string(function.status().message()));
    std::mt19937_64 generator(seed);
    for (auto [i, leaf] : llvm::enumerate(piece.leaves())) {
      auto tensor = reference::Tensor::zeros(
          cast<RankedTensorType>(leaf.getType()).getElementType(), function->shape(i));
      if (!tensor.ok())
        return fail(std::string(tensor.status().message()));
      for (double &number : tensor->floats)
        number = static_cast<double>(fill(generator));
      for (int64_t &number : tensor->ints)
        number = reference::wrapped(fill(generator), reference::width_of(tensor->element));
      trial.leaves.push_back(*std::move(tensor));
    }
    auto made = function->run(trial.leaves);
    if (!made.ok())
      return fail(std::string(made.status().message()));
    trial.sequences = made->shape[0];
    trial.queries = made->shape[2];
    trial.keys = made->shape[3];
    trial.values = std::move(made->floats);
    return true;
  }

  /// How far queries see where nothing of the input hides keys.
  bool guess() {
    int64_t before = -1, behind = -1, keys = 0;
    for (int64_t number : {1, 0, 2}) {
      Trial trial;
      if (!run(sizes[0], 1, [&](auto &) { return number; }, trial))
        return false;
      keys = trial.keys;
      for (int64_t b = 0; b < trial.sequences; ++b)
        for (int64_t p = 0; p < trial.queries; ++p)
          for (int64_t j = 0; j < keys; ++j)
            if (trial.at(b, p, j) > kHides) {
              before = std::max(before, p - j);
              behind = std::max(behind, j - p);
            }
    }
    if (before < 0 || behind < 0)
      return fail("its mask hides a query's own key");
    if (before < keys - 1)
      found.left = before;
    if (behind < keys - 1)
      found.right = behind;
    if (found.left == 0 || (found.right && found.left && *found.right == 0 && *found.left == 0))
      return fail("its mask hides all that is before a query");
    return true;
  }

  bool sees(int64_t p, int64_t j) const {
    return (!found.left || p - j <= *found.left) && (!found.right || j - p <= *found.right);
  }

  bool verify() {
    std::vector<int64_t> numbers = {0, 0, 0, 1, 1, 1, 1, 1, 2, 3, -1};
    for (int64_t constant : constants)
      if (numbers.size() < 32)
        numbers.push_back(constant);
    auto some = [&](std::mt19937_64 &generator) { return numbers[generator() % numbers.size()]; };
    auto flags = [](std::mt19937_64 &generator) {
      return static_cast<int64_t>(generator() % 4 != 0);
    };
    std::optional<double> outside;
    std::vector<Trial> trials;
    for (size_t i = 0; i < sizes.size(); ++i)
      for (uint64_t seed = 1; seed <= (i == 0 ? 2 : 4); ++seed) {
        Trial trial;
        if (!run(sizes[i], 10 * i + seed, seed % 2 ? Fill(some) : Fill(flags), trial))
          return false;
        for (int64_t b = 0; b < trial.sequences && !outside; ++b)
          for (int64_t p = 0; p < trial.queries && !outside && trial.queries > 1; ++p)
            for (int64_t j = 0; j < trial.keys && !outside; ++j)
              if (!sees(p, j) && trial.own(b, j) > kHides)
                outside = trial.at(b, p, j);
        trials.push_back(std::move(trial));
      }
    if (outside && !(*outside <= kHides))
      return fail("what its mask adds far from a query is too little to hide");
    for (const Trial &trial : trials)
      if (!agrees(trial, outside))
        return false;
    findKeys(trials);
    return true;
  }

  /// Whether the mask is a key's own number within the bounds and hides what is beyond them. A
  /// query that is shown nothing has to have equal weights for all keys, or none.
  bool agrees(const Trial &trial, std::optional<double> outside) {
    for (int64_t b = 0; b < trial.sequences; ++b)
      for (int64_t p = 0; p < trial.queries; ++p)
        for (int64_t j = 0; j < trial.keys; ++j) {
          const double own = trial.own(b, j);
          found.hidesKeys |= own != 0;
          if (trial.queries == 1)
            continue;
          if (outside && own <= kHides && own != *outside)
            return fail("its mask hides keys by other numbers than what is far from a query");
          if (trial.at(b, p, j) != (sees(p, j) ? own : outside.value_or(own)))
            return fail("its mask is no product of a bound and of what hides keys");
        }
    return true;
  }

  /// Whether keys are hidden where an input has one value, in all trials.
  void findKeys(const std::vector<Trial> &trials) {
    std::set<int64_t> values(constants);
    values.insert(0);
    for (auto [i, leaf] : llvm::enumerate(piece.leaves())) {
      auto tokens = cast<RankedTensorType>(leaf.getType());
      if (!tokens.getElementType().isSignlessInteger() || tokens.getRank() != 2 ||
          !isDim(tokens, 0, 0) || !isDim(tokens, 1, 3))
        continue;
      for (int64_t value : values) {
        std::optional<double> hidden;
        bool holds = true;
        for (const Trial &trial : trials)
          for (int64_t b = 0; holds && b < trial.sequences; ++b)
            for (int64_t j = 0; holds && j < trial.keys; ++j) {
              const double own = trial.own(b, j);
              const bool hides =
                  trial.leaves[i].ints[static_cast<size_t>(b * trial.keys + j)] == value;
              if (hides && !hidden)
                hidden = own;
              holds = own == (hides ? *hidden : 0);
            }
        if (holds && hidden && *hidden <= kHides)
          found.keys = KeyMask{leaf, value, static_cast<float>(*hidden)};
      }
    }
  }

  bool isDim(RankedTensorType of, unsigned dim, unsigned of_mask) const {
    const DimSize a = dimOf(of, dim), b = dimOf(type, of_mask);
    return a.size == b.size && a.name == b.name;
  }

  Value mask;
  RankedTensorType type;
  Piece piece;
  std::set<int64_t> constants;
  std::vector<int64_t> all; ///< constants, as often as they stand there
  bool scales = false;      ///< positions are multiplied or the like
  bool table = false;       ///< a constant is a table, which may know any distance
  std::vector<std::map<std::string, int64_t>> sizes;
  Found found;
};

struct RaiseMasksPass : impl::RaiseMasksBase<RaiseMasksPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      seen.clear();
      for (auto attention : llvm::to_vector(entry.getOps<AttentionRowsOp>()))
        if (attention.getMask() && attention.getMask().getDefiningOp() && !attention.getCausal() &&
            !attention.getLeft() && !attention.getRight())
          raise(attention);
      eraseDead(entry.getBody().front());
    }
  }

  /// A mask that several layers read is looked at once.
  struct Mask {
    std::optional<Found> found;
    std::string why;
    Value keys; ///< what is left of it
  };

  const Mask &look(Value value) {
    auto [at, fresh] = seen.try_emplace(value);
    Mask &mask = at->second;
    if (!fresh)
      return mask;
    MaskReader reader(value);
    mask.found = reader.read();
    mask.why = reader.why;
    if (mask.found && mask.found->hidesKeys)
      mask.keys = keysOf(value, *mask.found);
    return mask;
  }

  void raise(AttentionRowsOp attention) {
    const Mask &mask = look(attention.getMask());
    if (!mask.found) {
      ++numMissed;
      kRemarks.miss(attention) << say("{0}, so it is added as a tensor", mask.why);
      return;
    }
    const Found &found = *mask.found;
    const bool causal = found.right && *found.right == 0;
    attention.setLeft(found.left.value_or(0));
    attention.setRight(causal ? 0 : found.right.value_or(0));
    attention.setCausal(causal);
    if (mask.keys)
      attention.getMaskMutable().assign(mask.keys);
    else
      attention.getMaskMutable().clear();
    ++numRaised;
    kRemarks.hit(attention) << say(
        [found, causal, entry = attention->getParentOfType<func::FuncOp>()] {
          return text(found, causal, entry);
        });
  }

  static std::string text(const Found &found, bool causal, func::FuncOp entry) {
    std::string text = causal ? "causal" : found.left || found.right ? "a window" : "to both sides";
    if (found.left)
      text += llvm::formatv(", {0} before", *found.left);
    if (found.right && !causal)
      text += llvm::formatv(", {0} after", *found.right);
    if (found.keys)
      text += llvm::formatv(
          ", keys hidden where {0} is {1}",
          reference::argument_name(entry, cast<BlockArgument>(found.keys->tokens).getArgNumber()),
          found.keys->hiding);
    else if (found.hidesKeys)
      text += ", and a number a key";
    return text;
  }

  /// What is left of a mask: a number a key.
  static Value keysOf(Value mask, const Found &found) {
    OpBuilder builder(mask.getContext());
    builder.setInsertionPointAfterValue(mask);
    const Location loc = mask.getLoc();
    // What is beyond the bounds is hidden by the lowest float: keys that the mask hides have to be
    // alike, for a row that is shown nothing.
    const bool bounded = found.left || found.right;
    if (found.keys) {
      KeyMask keys = *found.keys;
      if (bounded && std::isfinite(keys.hidden))
        keys.hidden = std::numeric_limits<float>::lowest();
      return makeKeyMask(builder, loc, keys);
    }
    const auto type = cast<RankedTensorType>(mask.getType());
    if (type.getDimSize(2) == 1)
      return mask;
    // What a query at the key's own place sees of it.
    const DimSize dims[] = {dimOf(type, 0), {1, {}}, {1, {}}, dimOf(type, 3)};
    const RankedTensorType made = tensorOf(dims, type.getElementType());
    Value empty = tensor::EmptyOp::create(builder, loc, made, sizesOf(builder, loc, made));
    MLIRContext *context = builder.getContext();
    const AffineExpr zero = builder.getAffineConstantExpr(0);
    const AffineExpr sequence = getAffineDimExpr(0, context), key = getAffineDimExpr(3, context);
    const AffineMap maps[] = {AffineMap::get(4, 0, {sequence, zero, key, key}, context),
                              builder.getMultiDimIdentityMap(4)};
    const SmallVector<utils::IteratorType> parallel(4, utils::IteratorType::parallel);
    auto own = linalg::GenericOp::create(builder, loc, made, mask, empty, maps, parallel,
                                         [&](OpBuilder &b, Location at, ValueRange args) {
                                           Value number = args[0];
                                           if (bounded)
                                             number = lowestWhereHidden(b, at, number);
                                           linalg::YieldOp::create(b, at, number);
                                         });
    return own.getResult(0);
  }

  /// The lowest float in the place of what hides, but for -infinity.
  static Value lowestWhereHidden(OpBuilder &b, Location at, Value number) {
    auto constant = [&](double value) {
      return arith::ConstantOp::create(b, at, b.getF32FloatAttr(static_cast<float>(value)));
    };
    Value hides = arith::CmpFOp::create(b, at, arith::CmpFPredicate::OLE, number, constant(kHides));
    Value hidden =
        arith::MinimumFOp::create(b, at, number, constant(std::numeric_limits<float>::lowest()));
    return arith::SelectOp::create(b, at, hides, hidden, number);
  }

  llvm::MapVector<Value, Mask> seen;
};
} // namespace
} // namespace quern

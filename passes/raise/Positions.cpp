// See Positions.h.
#include "passes/raise/Positions.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

using namespace mlir;

namespace quern::raise {
namespace {

/// What is larger is no distance.
constexpr int64_t kFarthest = int64_t{1} << 40;

/// How far from 0 a constant is, rounded up.
std::optional<int64_t> distanceOf(Attribute value) {
  if (auto dense = dyn_cast<SplatElementsAttr>(value))
    value = dense.getSplatValue<Attribute>();
  double number = 0;
  if (auto real = dyn_cast<FloatAttr>(value))
    number = real.getValueAsDouble();
  else if (auto integer = dyn_cast<IntegerAttr>(value);
           integer && !integer.getType().isInteger(1) && integer.getValue().isSignedIntN(62))
    number = static_cast<double>(integer.getValue().getSExtValue());
  else
    return std::nullopt;
  number = std::ceil(std::abs(number));
  if (!(number < static_cast<double>(kFarthest)))
    return std::nullopt;
  return static_cast<int64_t>(number);
}

class Reader {
public:
  PositionUse read(const Piece &piece) {
    for (Operation *op : piece.inOrder()) {
      if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
        readBody(generic);
        continue;
      }
      note(op);
      // Moves, and what is filled with a number.
      for (Value operand : op->getOperands()) {
        if (positions.contains(operand))
          positions.insert_range(op->getResults());
        if (auto at = numbers.find(operand); at != numbers.end()) {
          const int64_t number = at->second;
          for (Value result : op->getResults())
            numbers[result] = number;
        }
      }
    }
    return use;
  }

private:
  void note(Operation *op) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      if (const auto distance = distanceOf(constant.getValue()))
        numbers[constant] = *distance;
  }

  void readBody(linalg::GenericOp generic) {
    Block &body = generic.getRegion().front();
    for (auto [operand, argument] : llvm::zip(generic->getOperands(), body.getArguments()))
      inherit(operand, argument);
    generic.getRegion().walk([&](Operation *inner) { readInner(inner); });
    for (auto [result, yielded] :
         llvm::zip(generic->getResults(), body.getTerminator()->getOperands()))
      inherit(yielded, result);
  }

  void inherit(Value from, Value to) {
    if (positions.contains(from))
      positions.insert(to);
    if (auto at = numbers.find(from); at != numbers.end()) {
      const int64_t number = at->second;
      numbers[to] = number;
    }
  }

  void readInner(Operation *inner) {
    note(inner);
    if (isa<linalg::IndexOp>(inner))
      positions.insert(inner->getResult(0));
    if (inner->getNumResults() == 0)
      return;
    // What an index reads of an input is no position.
    if (auto read = dyn_cast<tensor::ExtractOp>(inner)) {
      inherit(read.getTensor(), read.getResult());
      return;
    }
    if (isa<CastOpInterface>(inner) && inner->getNumOperands() == 1)
      inherit(inner->getOperand(0), inner->getResult(0));
    if (llvm::none_of(inner->getOperands(), [&](Value v) { return positions.contains(v); }))
      return;
    for (Value operand : inner->getOperands())
      if (auto at = numbers.find(operand); at != numbers.end())
        use.met.push_back(at->second);
    use.compared |= isa<arith::CmpIOp, arith::CmpFOp, arith::MaxSIOp, arith::MinSIOp,
                        arith::MaxUIOp, arith::MinUIOp, arith::MaximumFOp, arith::MinimumFOp,
                        arith::MaxNumFOp, arith::MinNumFOp>(inner);
    // A flag is no position.
    if (isa<arith::CmpIOp, arith::CmpFOp>(inner) || inner->getResult(0).getType().isInteger(1))
      return;
    positions.insert_range(inner->getResults());
    use.scaled |= !isa<arith::AddIOp, arith::SubIOp, arith::AddFOp, arith::SubFOp, arith::NegFOp,
                       arith::MaxSIOp, arith::MinSIOp, arith::MaximumFOp, arith::MinimumFOp,
                       arith::SelectOp, arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp,
                       arith::TruncIOp, arith::SIToFPOp, arith::UIToFPOp, arith::FPToSIOp,
                       arith::ExtFOp, math::AbsIOp, math::AbsFOp, CheckIndexOp>(inner);
  }

  llvm::DenseSet<Value> positions;        ///< numbers, and tensors of them
  llvm::DenseMap<Value, int64_t> numbers; ///< constants, by their distance from 0
  PositionUse use;
};

} // namespace

int64_t PositionUse::reach(int64_t bound) const {
  int64_t sum = 0;
  std::set<int64_t> beyond;
  for (const int64_t number : met)
    if (number > bound)
      beyond.insert(number);
    else
      sum = std::min(sum + number, kFarthest);
  // Distances are sums and differences of them: one number beyond the bound leaves it as far as the
  // others do not bring it back; two may cancel each other.
  if (beyond.empty() || (beyond.size() == 1 && *beyond.begin() - sum > bound))
    return std::min(sum, bound);
  return bound;
}

PositionUse positionsIn(const Piece &piece) { return Reader().read(piece); }

} // namespace quern::raise

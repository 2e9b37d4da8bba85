// See Heads.h.
#include "passes/raise/Heads.h"

#include "passes/raise/Meaning.h"
#include "passes/raise/Piece.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rows.h"

#include <algorithm>

using namespace mlir;

namespace quern::raise {
namespace {

/// The orders in which dimensions of `leaf` are those of `type`, but for fewer heads.
SmallVector<SmallVector<unsigned>> ordersOf(Value leaf, RankedTensorType type) {
  SmallVector<SmallVector<unsigned>> orders;
  const auto from = cast<RankedTensorType>(leaf.getType());
  SmallVector<unsigned> order = {0, 1, 2, 3};
  if (from.getRank() != 4 || !from.getElementType().isF32())
    return orders;
  do {
    bool fits = true;
    for (unsigned i = 0; i < 4 && fits; ++i) {
      const DimSize a = dimOf(from, order[i]), b = dimOf(type, i);
      fits = i == 2 ? a.size > 0 && a.size < b.size && b.size % a.size == 0
                    : a.size == b.size && a.name == b.name;
    }
    if (fits)
      orders.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return orders;
}

bool isRepeat(const Piece &piece, ArrayRef<unsigned> order) {
  auto function = Function::of(piece);
  if (!function.ok())
    return false;
  const reference::Tensor leaf =
      normalNumbers(Float32Type::get(piece.root()->getContext()), function->shape(0), 3);
  auto made = function->run({leaf});
  if (!made.ok() || made->floats.empty())
    return false;
  for (size_t dim : {0, 1, 3})
    if (made->shape[dim] != leaf.shape[order[dim]])
      return false;
  const std::vector<int64_t> strides = reference::row_major(leaf.shape);
  const int64_t times = made->shape[2] / leaf.shape[order[2]];
  for (size_t i = 0; i < made->floats.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    int64_t at = 0;
    for (size_t dim = 4; dim-- > 0;) {
      const int64_t index = rest % made->shape[dim];
      rest /= made->shape[dim];
      at += strides[order[dim]] * (dim == 2 ? index / times : index);
    }
    if (made->floats[i] != leaf.floats[static_cast<size_t>(at)])
      return false;
  }
  return true;
}

} // namespace

Value beforeRepeat(OpBuilder &builder, Value value) {
  constexpr size_t kMost = 12;
  Operation *root = value.getDefiningOp();
  const auto type = cast<RankedTensorType>(value.getType());
  if (!isParallel(root) || type.getRank() != 4)
    return {};
  Piece piece(root);
  do {
    if (piece.leaves().size() != 1)
      continue;
    for (auto order : ordersOf(piece.leaves()[0], type))
      if (isRepeat(piece, order))
        return permuted(builder, value.getLoc(), piece.leaves()[0], order);
  } while (piece.ops().size() < kMost && piece.growBehind(isParallel));
  return {};
}

} // namespace quern::raise

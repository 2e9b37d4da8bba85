#include "ir/reference/Loops.h"

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/STLExtras.h"

#include <absl/strings/str_cat.h>

namespace quern::reference {
namespace {

/// The expression as `constant` + the sum of loops times `factors`; false if it is no such.
bool flatten(mlir::AffineExpr expr, int64_t by, std::vector<int64_t> &factors, int64_t &constant) {
  if (auto dim = mlir::dyn_cast<mlir::AffineDimExpr>(expr)) {
    factors[dim.getPosition()] += by;
    return true;
  }
  if (auto number = mlir::dyn_cast<mlir::AffineConstantExpr>(expr)) {
    constant += by * number.getValue();
    return true;
  }
  auto both = mlir::dyn_cast<mlir::AffineBinaryOpExpr>(expr);
  if (!both)
    return false;
  if (expr.getKind() == mlir::AffineExprKind::Add)
    return flatten(both.getLHS(), by, factors, constant) &&
           flatten(both.getRHS(), by, factors, constant);
  if (expr.getKind() != mlir::AffineExprKind::Mul)
    return false;
  if (auto right = mlir::dyn_cast<mlir::AffineConstantExpr>(both.getRHS()))
    return flatten(both.getLHS(), by * right.getValue(), factors, constant);
  if (auto left = mlir::dyn_cast<mlir::AffineConstantExpr>(both.getLHS()))
    return flatten(both.getRHS(), by * left.getValue(), factors, constant);
  return false;
}

absl::Status outside(int64_t index, size_t dim, const Tensor &tensor) {
  return absl::OutOfRangeError(absl::StrCat("index ", index, " in dimension ", dim,
                                            " of a tensor of shape ", shape_text(tensor.shape)));
}

} // namespace

std::optional<int64_t> affine_value(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> dims,
                                    llvm::ArrayRef<int64_t> symbols) {
  if (auto dim = mlir::dyn_cast<mlir::AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = mlir::dyn_cast<mlir::AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  if (auto number = mlir::dyn_cast<mlir::AffineConstantExpr>(expr))
    return number.getValue();
  auto both = mlir::dyn_cast<mlir::AffineBinaryOpExpr>(expr);
  if (!both)
    return std::nullopt;
  const std::optional<int64_t> a = affine_value(both.getLHS(), dims, symbols),
                               b = affine_value(both.getRHS(), dims, symbols);
  if (!a || !b)
    return std::nullopt;
  const bool divides =
      expr.getKind() != mlir::AffineExprKind::Add && expr.getKind() != mlir::AffineExprKind::Mul;
  if (divides && *b <= 0)
    return std::nullopt;
  const int64_t floor = divides ? (*a >= 0 ? *a / *b : -((-*a + *b - 1) / *b)) : 0;
  switch (expr.getKind()) {
  case mlir::AffineExprKind::Add:
    return *a + *b;
  case mlir::AffineExprKind::Mul:
    return *a * *b;
  case mlir::AffineExprKind::Mod:
    return *a - floor * *b;
  case mlir::AffineExprKind::FloorDiv:
    return floor;
  case mlir::AffineExprKind::CeilDiv:
    return floor * *b == *a ? floor : floor + 1;
  default:
    return std::nullopt;
  }
}

Points::Points(std::vector<unsigned> loops, llvm::ArrayRef<int64_t> extents)
    : loops_(std::move(loops)) {
  for (const unsigned loop : loops_) {
    extents_.push_back(extents[loop]);
    count_ *= extents[loop];
  }
}

void Points::go_to(int64_t point, std::vector<int64_t> &at) const {
  for (size_t i = loops_.size(); i-- > 0; point /= extents_[i])
    at[loops_[i]] = point % extents_[i];
}

absl::StatusOr<Access> Access::create(TensorPtr tensor, mlir::AffineMap map,
                                      llvm::ArrayRef<int64_t> extents) {
  if (map.getNumResults() != tensor->shape.size() || map.getNumSymbols() != 0)
    return absl::InvalidArgumentError("a map that is not of the tensor's rank");
  Access access;
  access.map_ = map;
  access.tensor_steps_ = row_major(tensor->shape);
  access.strides_.resize(extents.size());
  const bool empty = llvm::is_contained(extents, 0);
  for (size_t d = 0; d < tensor->shape.size(); ++d) {
    std::vector<int64_t> factors(extents.size());
    int64_t constant = 0;
    if (!flatten(map.getResult(static_cast<unsigned>(d)), 1, factors, constant)) {
      access.linear_ = false;
      continue;
    }
    int64_t least = constant, most = constant;
    for (size_t loop = 0; loop < extents.size(); ++loop) {
      const int64_t reach = factors[loop] * std::max<int64_t>(extents[loop] - 1, 0);
      (reach < 0 ? least : most) += reach;
      access.strides_[loop] += factors[loop] * access.tensor_steps_[d];
    }
    if (!empty && (least < 0 || most >= tensor->shape[d]))
      return outside(least < 0 ? least : most, d, *tensor);
    access.base_ += constant * access.tensor_steps_[d];
  }
  access.tensor_ = std::move(tensor);
  return access;
}

absl::StatusOr<int64_t> Access::place(llvm::ArrayRef<int64_t> at) const {
  int64_t place = 0;
  for (size_t d = 0; d < tensor_->shape.size(); ++d) {
    const std::optional<int64_t> index = affine_value(map_.getResult(static_cast<unsigned>(d)), at);
    if (!index)
      return absl::InvalidArgumentError("a map that divides by what is not positive");
    if (*index < 0 || *index >= tensor_->shape[d])
      return outside(*index, d, *tensor_);
    place += *index * tensor_steps_[d];
  }
  return place;
}

absl::StatusOr<std::vector<int64_t>> extents_of(llvm::ArrayRef<TensorPtr> operands,
                                                llvm::ArrayRef<mlir::AffineMap> maps) {
  const unsigned loops = maps.empty() ? 0 : maps.front().getNumDims();
  std::vector<int64_t> extents(loops, -1);
  std::vector<size_t> by(loops);
  for (size_t i = 0; i < operands.size(); ++i)
    for (size_t d = 0; d < operands[i]->shape.size() && d < maps[i].getNumResults(); ++d) {
      auto dim = mlir::dyn_cast<mlir::AffineDimExpr>(maps[i].getResult(static_cast<unsigned>(d)));
      if (!dim)
        continue;
      int64_t &extent = extents[dim.getPosition()];
      if (extent >= 0 && extent != operands[i]->shape[d])
        return absl::InvalidArgumentError(absl::StrCat(
            "loop ", dim.getPosition(), " runs to ", extent, " over operand ",
            by[dim.getPosition()], " and to ", operands[i]->shape[d], " over operand ", i));
      extent = operands[i]->shape[d];
      by[dim.getPosition()] = i;
    }
  for (size_t loop = 0; loop < extents.size(); ++loop)
    if (extents[loop] < 0)
      return absl::InvalidArgumentError(
          absl::StrCat("no operand says how far loop ", loop, " runs"));
  int64_t points = 1;
  if (!llvm::is_contained(extents, 0))
    for (const int64_t extent : extents)
      if (__builtin_mul_overflow(points, extent, &points))
        return absl::ResourceExhaustedError("more points than 64 bits count");
  return extents;
}

} // namespace quern::reference

#include "ir/reference/Tensor.h"

#include "llvm/ADT/APFloat.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace quern::reference {
namespace {

double to_double(llvm::APFloat value) {
  bool inexact = false;
  value.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  return value.convertToDouble();
}

llvm::APFloat rounded(const llvm::fltSemantics &semantics, double x) {
  llvm::APFloat value(x);
  bool inexact = false;
  value.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &inexact);
  return value;
}

/// Rounding to a type with infinities and subnormals, of at most half a double's precision.
struct Ieee {
  int precision, least_exponent;
  double beyond; ///< from here on, numbers are infinite

  double operator()(double x) const {
    if (!(std::abs(x) < beyond))
      return std::isnan(x) ? x : std::copysign(std::numeric_limits<double>::infinity(), x);
    const auto bits = std::bit_cast<uint64_t>(x);
    const int exponent = std::max(static_cast<int>(bits >> 52 & 0x7ff) - 1023, least_exponent);
    // A number so large that a double has no digits below the type's last: the addition rounds.
    const auto large = std::bit_cast<double>(
        (static_cast<uint64_t>(exponent - precision + 1 + 52 + 1023) << 52) + (uint64_t{1} << 51));
    const double y = std::copysign(x + large - large, x);
    return std::abs(y) < beyond ? y : std::copysign(std::numeric_limits<double>::infinity(), x);
  }
};

} // namespace

absl::StatusOr<int64_t> element_count(std::span<const int64_t> shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0)
      return absl::InvalidArgumentError(
          absl::StrCat("a tensor of shape ", shape_text(shape), " has a negative dimension"));
    empty = empty || dim == 0;
  }
  if (empty)
    return 0;
  for (const int64_t dim : shape)
    if (__builtin_mul_overflow(count, dim, &count) || count > Tensor::kMostElements)
      return absl::ResourceExhaustedError(absl::StrCat("a tensor of shape ", shape_text(shape),
                                                       " has more than ", Tensor::kMostElements,
                                                       " elements"));
  return count;
}

std::string shape_text(std::span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::vector<int64_t> row_major(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * std::max<int64_t>(shape[d], 1);
  return strides;
}

absl::StatusOr<Tensor> Tensor::zeros(mlir::Type element, std::vector<int64_t> shape) {
  const absl::StatusOr<int64_t> count = element_count(shape);
  if (!count.ok())
    return count.status();
  Tensor tensor{element, std::move(shape), {}, {}};
  if (tensor.is_float())
    tensor.floats.resize(static_cast<size_t>(*count));
  else if (!element.isIndex() && (!element.isInteger() || element.getIntOrFloatBitWidth() > 64))
    return absl::UnimplementedError("the interpreter has no numbers of this element type");
  else
    tensor.ints.resize(static_cast<size_t>(*count));
  return tensor;
}

Tensor Tensor::scalar(mlir::Type element, double value) { return {element, {}, {value}, {}}; }
Tensor Tensor::scalar(mlir::Type element, int64_t value) { return {element, {}, {}, {value}}; }

absl::StatusOr<Tensor> constant_tensor(mlir::TypedAttr value) {
  if (auto number = mlir::dyn_cast<mlir::FloatAttr>(value))
    return Tensor::scalar(value.getType(), to_double(number.getValue()));
  const auto kept = [](mlir::Type type, const llvm::APInt &number) {
    return wrapped(static_cast<int64_t>(number.getZExtValue()), width_of(type));
  };
  if (auto number = mlir::dyn_cast<mlir::IntegerAttr>(value)) {
    if (number.getValue().getBitWidth() > 64)
      return absl::UnimplementedError("the interpreter has no integers of more than 64 bits");
    return Tensor::scalar(value.getType(), kept(value.getType(), number.getValue()));
  }
  auto dense = mlir::dyn_cast<mlir::DenseElementsAttr>(value);
  if (!dense)
    return absl::UnimplementedError("the interpreter reads constants that are numbers or dense");
  absl::StatusOr<Tensor> tensor =
      Tensor::zeros(dense.getElementType(),
                    {dense.getType().getShape().begin(), dense.getType().getShape().end()});
  if (!tensor.ok())
    return tensor;
  if (tensor->is_float()) {
    if (dense.isSplat())
      std::fill(tensor->floats.begin(), tensor->floats.end(),
                to_double(dense.getSplatValue<llvm::APFloat>()));
    else
      for (auto [to, from] : llvm::zip_equal(tensor->floats, dense.getValues<llvm::APFloat>()))
        to = to_double(from);
  } else if (dense.isSplat()) {
    std::fill(tensor->ints.begin(), tensor->ints.end(),
              kept(tensor->element, dense.getSplatValue<llvm::APInt>()));
  } else {
    for (auto [to, from] : llvm::zip_equal(tensor->ints, dense.getValues<llvm::APInt>()))
      to = kept(tensor->element, from);
  }
  return tensor;
}

unsigned width_of(mlir::Type type) { return type.isIndex() ? 64 : type.getIntOrFloatBitWidth(); }

void round_to(mlir::FloatType type, std::span<double> values) {
  if (type.isF64())
    return;
  if (type.isF32()) {
    for (double &x : values)
      x = static_cast<double>(static_cast<float>(x));
    return;
  }
  const llvm::fltSemantics &semantics = type.getFloatSemantics();
  if (type.isF16() || type.isBF16()) {
    const Ieee ieee{static_cast<int>(llvm::APFloat::semanticsPrecision(semantics)),
                    llvm::APFloat::semanticsMinExponent(semantics),
                    std::ldexp(1.0, llvm::APFloat::semanticsMaxExponent(semantics) + 1)};
    for (double &x : values)
      x = ieee(x);
    return;
  }
  for (double &x : values)
    x = to_double(rounded(semantics, x));
}

int64_t float_to_bits(mlir::FloatType type, double value) {
  return wrapped(static_cast<int64_t>(
                     rounded(type.getFloatSemantics(), value).bitcastToAPInt().getZExtValue()),
                 type.getWidth());
}

double bits_to_float(mlir::FloatType type, int64_t bits) {
  const llvm::APInt pattern(64, static_cast<uint64_t>(bits));
  return to_double(llvm::APFloat(type.getFloatSemantics(), pattern.trunc(type.getWidth())));
}

} // namespace quern::reference

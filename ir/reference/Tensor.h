// Tensors of any shape and element type, as general tensor programs have them.
#ifndef QUERN_IR_REFERENCE_TENSOR_H
#define QUERN_IR_REFERENCE_TENSOR_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::reference {

/// A dense tensor, row-major. A number that is no tensor (an index, a loop's counter) is one of
/// rank 0.
struct Tensor {
  /// More elements than this are refused: 8 GiB of numbers.
  static constexpr int64_t kMostElements = int64_t{1} << 30;

  mlir::Type element;
  std::vector<int64_t> shape;
  /// The elements, where they are floats. Every float type's numbers are doubles.
  std::vector<double> floats;
  /// The elements, where they are integers or indices: sign-extended from their width, but a bool
  /// is 0 or 1. Ops tell signed from unsigned: an unsigned 255 of 8 bits is -1 here.
  std::vector<int64_t> ints;

  bool is_float() const { return mlir::isa<mlir::FloatType>(element); }
  int64_t count() const { return static_cast<int64_t>(floats.size() + ints.size()); }

  /// All zero. Fails on a shape of too many elements.
  static absl::StatusOr<Tensor> zeros(mlir::Type element, std::vector<int64_t> shape);
  /// A number.
  static Tensor scalar(mlir::Type element, double value);
  static Tensor scalar(mlir::Type element, int64_t value);
};
using TensorPtr = std::shared_ptr<const Tensor>;

/// How many elements a shape has: fails on a negative dimension and above Tensor::kMostElements.
absl::StatusOr<int64_t> element_count(std::span<const int64_t> shape);
/// "[2, 3]".
std::string shape_text(std::span<const int64_t> shape);
/// The elements that the next one of each dimension is away, row-major.
std::vector<int64_t> row_major(std::span<const int64_t> shape);

/// What the attribute of a constant says.
absl::StatusOr<Tensor> constant_tensor(mlir::TypedAttr value);

/// The bits of an integer type's numbers; an index has 64.
unsigned width_of(mlir::Type type);

/// `value` as a Tensor keeps it, of its low `width` bits.
inline int64_t wrapped(int64_t value, unsigned width) {
  if (width >= 64)
    return value;
  if (width == 1)
    return value & 1;
  const unsigned rest = 64 - width;
  return static_cast<int64_t>(static_cast<uint64_t>(value) << rest) >> rest;
}
/// The number that `value`, as a Tensor keeps it, is when it is read as signed, or as unsigned.
inline int64_t as_signed(int64_t value, unsigned width) { return width == 1 ? -value : value; }
inline uint64_t as_unsigned(int64_t value, unsigned width) {
  return width >= 64 ? static_cast<uint64_t>(value)
                     : static_cast<uint64_t>(value) & ((uint64_t{1} << width) - 1);
}

/// Rounds numbers to the nearest of a float type, ties to even; what is too large becomes infinity,
/// or what the type has in its place.
void round_to(mlir::FloatType type, std::span<double> values);

/// A float's bits, sign-extended as a Tensor keeps integers, and the float of bits.
int64_t float_to_bits(mlir::FloatType type, double value);
double bits_to_float(mlir::FloatType type, int64_t bits);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_TENSOR_H

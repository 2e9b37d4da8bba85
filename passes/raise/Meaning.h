// What an elementwise piece computes, found by computing it.
#ifndef QUERN_PASSES_RAISE_MEANING_H
#define QUERN_PASSES_RAISE_MEANING_H

#include "ir/quern/QuernDialect.h"
#include "passes/raise/Piece.h"

#include <optional>

namespace quern::raise {

/// A function of one element of one or two tensors, or of a tensor and a vector.
struct Meaning {
  enum class Kind { Same, Scale, Unary, Binary, Gated };
  Kind kind;
  mlir::Value first;    ///< a tensor of the root's shape; of gated, the gate
  mlir::Value second{}; ///< another, or a vector
  UnaryKind unary{};    ///< of unary and gated
  BinaryKind binary{};  ///< of binary
  double factor = 1;    ///< of scale
  bool vector() const { return second && second.getType() != first.getType(); }
};

/// What a piece of pointwise ops is; none if it is nothing that the dialect has a name for.
std::optional<Meaning> meaningOf(const Piece &piece);

/// Numbers that differ from each other by no more than float32 constants of a piece do from what
/// they stand for.
bool close(double a, double b);

/// Pseudo-random numbers that look normally distributed, of `seed`.
reference::Tensor normalNumbers(mlir::Type element, std::vector<int64_t> shape, uint64_t seed,
                                double scale = 1);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_MEANING_H

// What a piece does that turns pairs of columns, as rotary positions do: found by computing it.
#ifndef QUERN_PASSES_RAISE_ROTATION_H
#define QUERN_PASSES_RAISE_ROTATION_H

#include "passes/raise/Piece.h"

#include <optional>
#include <string>

namespace quern::raise {

/// A tensor of cosines or sines, whose dimensions are the last of the result's, or of one element.
struct AngleTable {
  mlir::Value value;
  /// Where the cosine of pair i is that turns its first number, and where the one that turns its
  /// second: at the same place, or i and i + pairs, or 2 i and 2 i + 1.
  enum class Layout { Single, Halves, Neighbours };
  Layout layout;

  int64_t first(int64_t pair) const { return layout == Layout::Neighbours ? 2 * pair : pair; }
  int64_t second(int64_t pair, int64_t pairs) const {
    return layout == Layout::Single ? pair : layout == Layout::Halves ? pair + pairs : 2 * pair + 1;
  }
};

/// y = x but for the first 2 * pairs columns, of which pairs (a, b) become
/// (a cos - b sin, a sin + b cos).
struct Rotation {
  mlir::Value input; ///< of the result's type
  AngleTable cosines, sines;
  int64_t pairs;
  bool interleaved; ///< pairs are neighbours, not halves
};

/// Whether the piece has a rotation's leaves: a tensor of the root's type, and one or two that are
/// the same for all heads or sequences, and not for all positions.
bool mayRotate(const Piece &piece);

/// The rotation that such a piece is.
std::optional<Rotation> rotationOf(const Piece &piece);

/// Whether the first and the second number of each pair are turned by the same angle, which the
/// dialect's op asks for: what computes the table is run. Otherwise `why` says what is known.
bool turnsPairsAlike(const AngleTable &table, int64_t pairs, std::string &why);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_ROTATION_H

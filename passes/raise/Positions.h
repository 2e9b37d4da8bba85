// What a piece does with positions: the indices that its ops ask for.
#ifndef QUERN_PASSES_RAISE_POSITIONS_H
#define QUERN_PASSES_RAISE_POSITIONS_H

#include "passes/raise/Piece.h"

#include <cstdint>
#include <vector>

namespace quern::raise {

struct PositionUse {
  /// A number that is made of positions is multiplied, divided or the like: then the numbers in the
  /// ops are no distances.
  bool scaled = false;
  /// One is compared, so that what is computed may be something else from some distance on.
  bool compared = false;
  /// How far from 0 the numbers are that meet one.
  std::vector<int64_t> met;

  /// The largest distance up to `bound` that may be compared with, if nothing is scaled.
  int64_t reach(int64_t bound) const;
};

PositionUse positionsIn(const Piece &piece);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_POSITIONS_H

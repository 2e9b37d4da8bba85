// Which matrices of a model in int4, or another format of less than eight bits, keep eight: as many
// as there is room for, those first that gain most for their bytes. Decided by shapes and by who
// reads a matrix, so that a plan of the config alone is exact; docs/decisions/0023 has the
// measurements.
#ifndef QUERN_PASSES_QUANTIZE_ROOMFORINT8_H
#define QUERN_PASSES_QUANTIZE_ROOMFORINT8_H

#include "ir/formats/Format.h"
#include "ir/quern/QuernDialect.h"

#include <string>

namespace quern {

inline constexpr llvm::StringLiteral kInt8 = "int8";

/// A weight, and what it will be stored as.
struct StoredWeight {
  WeightType type;
  std::string format;
  bool matrix = false;   ///< packed in panels
  bool lookedUp = false; ///< a row of it is a token's
  bool result = false;   ///< the model's result is computed by it

  bool isTable() const { return lookedUp || result; }
};

/// What the whole model may take beyond the bits of its format, in bits a weight: 4.6 of int4.
inline constexpr double kRoom = 0.1;

/// How much more the rounding of a table moves the probabilities than that of another matrix,
/// whatever its size: as measured.
inline constexpr int64_t kTableGain = 32;

/// Tables that are this share of a model's weights, or more, are int8 whatever room there is.
inline constexpr double kLargeTables = 0.2;

/// Gives int8 to some of those that are in `format`, all of a shape or none. The same for the same
/// weights in the same order. Without a budget, to tables alone, whatever they take.
void useRoom(llvm::MutableArrayRef<StoredWeight *> weights, const formats::Format &format,
             bool budget);

} // namespace quern

#endif // QUERN_PASSES_QUANTIZE_ROOMFORINT8_H

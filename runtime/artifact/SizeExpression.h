// Expressions over the sizes that an entry's caller chooses: what a symbolic dimension is.
#ifndef QUERN_RUNTIME_ARTIFACT_SIZEEXPRESSION_H
#define QUERN_RUNTIME_ARTIFACT_SIZEEXPRESSION_H

#include "runtime/artifact/manifest_generated.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quern::artifact {

/// Steps of an expression and numbers on its stack, at most: more than the compiler's longest
/// (ir/symbols/Dim.h bounds them) comes to.
inline constexpr uint32_t kMostSizeSteps = 4096;
inline constexpr uint32_t kMostSizeStack = 64;
/// The greatest number that an expression may give for a dimension.
inline constexpr uint64_t kMostSize = uint64_t{1} << 46;

/// What is wrong with an expression over that many sizes; empty if nothing is: it has steps, each
/// finds its operands, and one number is left.
std::string_view mistake_in(const SizeExpression *expression, uint32_t num_sizes);

/// Its value. Requires that nothing is wrong with it.
/// Errors: InvalidArgument (a division by zero, a number that does not fit in 64 bits).
absl::StatusOr<int64_t> value_of(const SizeExpression &expression, std::span<const int64_t> sizes);

/// The number of the size that the expression is, if it is one and nothing else.
std::optional<uint32_t> plain_size(const SizeExpression &expression);

} // namespace quern::artifact

#endif // QUERN_RUNTIME_ARTIFACT_SIZEEXPRESSION_H

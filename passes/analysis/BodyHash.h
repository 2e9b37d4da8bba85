// A number that equal bodies share.
#ifndef QUERN_PASSES_ANALYSIS_BODYHASH_H
#define QUERN_PASSES_ANALYSIS_BODYHASH_H

#include "mlir/IR/Region.h"

#include <cstddef>

namespace quern {

/// Of the ops in the region and in regions within it, in order: their names, attributes and types,
/// but not what they read, nor where they come from.
size_t hashOfBody(mlir::Region &region);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_BODYHASH_H

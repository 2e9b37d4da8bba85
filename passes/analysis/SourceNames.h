// The names by which the model's author knows things.
#ifndef QUERN_PASSES_ANALYSIS_SOURCENAMES_H
#define QUERN_PASSES_ANALYSIS_SOURCENAMES_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/ArrayRef.h"

#include <string>

namespace quern {

/// The name in a NameLoc ("model.layers.3.self_attn.q_proj"), the merged name of a fused location's
/// names; "" where there is none.
std::string sourceName(mlir::Location loc);

/// One name for several: what differs between the dots goes in braces, as in
/// "model.layers.3.self_attn.{q_proj,k_proj,v_proj}". Equal names count once; "" is ignored.
std::string mergeNames(llvm::ArrayRef<std::string> names);

/// A location that carries mergeNames of the locations' names; the first location where none has a
/// name.
mlir::Location mergeLocations(llvm::ArrayRef<mlir::Location> locs);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_SOURCENAMES_H

// What the plan phase promised, read off a planned module: the numbers that `quern plan` prints and
// that the manifest carries.
#ifndef QUERN_CODEGEN_ARTIFACT_PLAN_H
#define QUERN_CODEGEN_ARTIFACT_PLAN_H

#include "passes/analysis/Buffers.h"

#include "mlir/IR/SymbolTable.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace quern::artifact {

/// One bucket of an entry.
struct PlannedBucket {
  mlir::func::FuncOp func;
  std::string entry;
  std::string name;
  BucketShape shape;
  uint64_t arena = 0;       ///< bytes
  uint64_t arena_bound = 0; ///< bytes: what is alive at once, at most
  std::vector<DispatchOp> dispatches;
};

/// The kv states whose attention has the same window.
struct PlannedKvGroup {
  uint64_t layers = 0;
  uint64_t window = 0;     ///< positions that a token sees; 0: all before it
  uint64_t page_bytes = 0; ///< of all the group's layers
};

/// The numbers of a whole module. Bytes.
struct PlannedSizes {
  uint64_t weights = 0;
  uint64_t arena = 0;       ///< the largest of all buckets
  uint64_t arena_bound = 0; ///< of that bucket
  uint64_t slot_bytes = 0;  ///< fixed-size state of a slot
  std::vector<PlannedKvGroup> kv_groups;
};

/// The buckets in the module's order: the first that admits a step is the one that runs it.
/// Errors name the attribute that a planned module must have and this one lacks.
absl::StatusOr<std::vector<PlannedBucket>> planned_buckets(mlir::ModuleOp planned);

absl::StatusOr<PlannedSizes> planned_sizes(mlir::ModuleOp planned);

/// The packed weight that `value` refers to; null if it is none.
PackedOp packed_weight(mlir::Value value, mlir::SymbolTableCollection &symbols);

/// 2 x the multiply-adds of one decode token, attention over its past left out (it grows).
uint64_t flops_per_token(const PlannedBucket &bucket, mlir::SymbolTableCollection &symbols);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_PLAN_H

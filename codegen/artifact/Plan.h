// What the plan phase promised, read off a planned module: the numbers that `quern plan` prints and
// that the manifest carries.
#ifndef QUERN_CODEGEN_ARTIFACT_PLAN_H
#define QUERN_CODEGEN_ARTIFACT_PLAN_H

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace quern::artifact {

/// A result of a dispatch, in the arena.
struct PlannedBuffer {
  std::string name;
  uint64_t offset = 0;
  uint64_t bytes = 0; ///< at the bucket's largest T, B and R
  uint32_t first = 0; ///< the dispatch that makes it
  uint32_t last = 0;  ///< the last one that reads it
};

/// One bucket of an entry.
struct PlannedBucket {
  mlir::func::FuncOp func;
  std::string entry;
  std::string name;
  uint64_t max_tokens = 0;
  uint64_t max_seqs = 0;
  uint64_t max_rows = 0;
  uint64_t arena = 0;       ///< bytes
  uint64_t arena_bound = 0; ///< bytes: what is alive at once, at most
  std::vector<DispatchOp> dispatches;
};

/// The numbers of a whole module. Bytes.
struct PlannedSizes {
  uint64_t weights = 0;
  uint64_t arena = 0;          ///< the largest of all buckets
  uint64_t arena_bound = 0;    ///< of that bucket
  uint64_t slot_bytes = 0;     ///< fixed-size state of a slot
  std::vector<uint64_t> pages; ///< of a kv page, by group
};

/// The buckets in the module's order: the first that admits a step is the one that runs it.
/// Errors name the attribute that a planned module must have and this one lacks.
absl::StatusOr<std::vector<PlannedBucket>> planned_buckets(mlir::ModuleOp planned);

absl::StatusOr<PlannedSizes> planned_sizes(mlir::ModuleOp planned);

/// Every buffer of the bucket's arena.
std::vector<PlannedBuffer> planned_buffers(const PlannedBucket &bucket);

/// Bytes of a state: a kv state's part of a page, all of another's.
uint64_t state_bytes(StateType type);

/// Bytes of a rows or q8_rows value in `bucket`.
uint64_t buffer_bytes(mlir::Type type, const PlannedBucket &bucket);

/// The packed weight that `value` refers to; null if it is none.
PackedOp packed_weight(mlir::Value value);

/// 2 x the multiply-adds of one decode token, attention over its past left out (it grows).
uint64_t flops_per_token(const PlannedBucket &bucket);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_PLAN_H

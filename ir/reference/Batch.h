// A step's ragged batch as callers of the interpreter write it, and as evals read it.
#ifndef QUERN_IR_REFERENCE_BATCH_H
#define QUERN_IR_REFERENCE_BATCH_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

namespace quern::reference {

/// What one sequence contributes to a step.
struct Sequence {
  int64_t slot = 0;                ///< whose state it continues
  int64_t start = 0;               ///< position of its first token
  std::vector<int32_t> tokens;     ///< at least one
  std::vector<int32_t> types = {}; ///< of each token, where a model knows several; none: all 0
};

/// A step: sequences packed one after the other, and the packed tokens (indices into all of them,
/// ascending) whose outputs are wanted.
struct Batch {
  std::vector<Sequence> sequences;
  std::vector<int32_t> rows;
};

/// A batch flattened: what `!quern.batch` stands for. Same names as runtime/abi/StepArgs.h.
struct PackedBatch {
  std::vector<int64_t> slots;      ///< [B]
  std::vector<int64_t> cu_seqlens; ///< [B+1], the first token of each sequence
  std::vector<int32_t> tokens;     ///< [T]
  std::vector<int32_t> types;      ///< [T]
  std::vector<int64_t> positions;  ///< [T]
  std::vector<int64_t> token_seq;  ///< [T]
  std::vector<int32_t> rows;       ///< [R]

  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
  int64_t num_seqs() const { return static_cast<int64_t>(slots.size()); }
  int64_t num_rows() const { return static_cast<int64_t>(rows.size()); }
};

/// Flattens and checks: every sequence has tokens and a slot of its own, starts are not negative,
/// rows are ascending and inside the step.
absl::StatusOr<PackedBatch> pack(const Batch &batch);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_BATCH_H

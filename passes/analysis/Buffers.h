// Buffers of a schedule: their sizes and how long they live.
#ifndef QUERN_PASSES_ANALYSIS_BUFFERS_H
#define QUERN_PASSES_ANALYSIS_BUFFERS_H

#include "passes/analysis/Entries.h"
#include "passes/analysis/Sizes.h"
#include "passes/target/Target.h"
#include "runtime/abi/StepArgs.h"

#include <string>
#include <vector>

namespace quern {

/// Offsets in the arena, the weights section, a slot and a page are multiples of this.
inline constexpr int64_t kBufferAlignment = 64;
/// The weights section ends on a multiple of this.
inline constexpr int64_t kSectionAlignment = 4096;

/// The largest step of a bucket, as its function's attributes say.
struct BucketShape {
  const target::Target *target = nullptr; ///< that of its module
  int64_t max_tokens = 0;
  int64_t max_seqs = 0;
  int64_t max_rows = 0;
  bool sized = false;    ///< its entry's caller chooses sizes
  symbols::Maxima sizes; ///< of the module, with their greatest values

  /// A step is one token of one sequence.
  bool single() const { return max_tokens == 1 && !sized; }
  /// The most that the symbol T, B or R, or an expression over the sizes, counts in this bucket.
  int64_t most(llvm::StringRef symbol) const;
};

/// Reads the attributes; an error on the function where one is missing or not positive.
llvm::FailureOr<BucketShape> bucketShape(mlir::func::FuncOp bucket);

/// Whether `symbol` is one of T, B and R.
bool isKnownSymbol(llvm::StringRef symbol);

/// Bytes of a row of the type (rows or q8_rows).
int64_t rowBytes(mlir::Type type, const target::Target &target);

/// Bytes of a buffer that holds any step of the bucket, a multiple of kBufferAlignment; kTooMany
/// where they are as many or more.
int64_t bufferBytes(mlir::Type type, const BucketShape &shape);

/// Bytes of a packed weight: its panels, or plain rows of float32.
int64_t packedBytes(PackedOp packed);

/// "f32, f16, ": the formats of kv state, each with a comma behind it.
std::string kvFormatNames();

/// Bytes of the keys of a kv head in a page, `dim` numbers a position; or of its values.
int64_t kvPartBytes(StateFormat format, int64_t dim);

/// Bytes of a kv head in a page: its keys', then, unless the state is shared, its values'.
int64_t kvHeadBytes(StateType type);

/// Bytes of a state: of a kv state, its part of a page (kPagePositions positions), of
/// the others, its part of a slot.
int64_t stateBytes(StateType type);

/// Positions of a page of kv state: QUERN_KV_PAGE of runtime/abi/StepArgs.h.
inline constexpr int64_t kPagePositions = QUERN_KV_PAGE;

/// Bytes that a kernel needs in the arena while it runs, beside its results, as its module's target
/// says; 0 if none. `single`: in a bucket of one token, where workers share the work of a row and
/// leave what they found in this memory (the anchor's partials).
int64_t scratchBytes(KernelOp kernel, bool single);
/// The same of a dispatch's kernel.
int64_t scratchBytes(DispatchOp dispatch, const BucketShape &shape);

/// A result of a dispatch, or its scratch memory.
struct LiveBuffer {
  DispatchOp dispatch;
  mlir::OpResult value; ///< null for scratch memory
  int64_t bytes = 0;
  int64_t first = 0;      ///< the dispatch (numbered in order) that writes it
  int64_t last = 0;       ///< the last dispatch that reads it; `first` if none does
  bool is_output = false; ///< it is a result of the entry, and lies in the caller's memory
};

/// Every dispatch result of the bucket, in order, and scratch memory after the dispatch's results.
/// A buffer is live from the dispatch that writes it to the last that reads it, both included: a
/// kernel never writes over what it reads.
std::vector<LiveBuffer> liveBuffers(mlir::func::FuncOp bucket, const BucketShape &shape);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_BUFFERS_H

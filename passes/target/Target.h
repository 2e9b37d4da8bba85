// What passes ask of a target, as data: a module says which one it is compiled for, and no pass
// knows any by name. What the driver asks of one is codegen/Target.h.
//
// Targets share the weights and the states of an artifact, so what shapes these (the packing of a
// format, which linears are merged, pages of kv state) is no target's: a target decides what a
// schedule is like.
#ifndef QUERN_PASSES_TARGET_TARGET_H
#define QUERN_PASSES_TARGET_TARGET_H

#include "ir/quern/QuernDialect.h"

#include "mlir/IR/BuiltinOps.h"

#include <cstdint>

namespace quern::attrs {

// Of a module, from import on.
/// The target that it is compiled for; cpu where there is none.
inline constexpr llvm::StringLiteral kTarget = "quern.target";
/// Of an artifact for several targets, all of them: its modules share weights and states.
inline constexpr llvm::StringLiteral kTargets = "quern.targets";

} // namespace quern::attrs

namespace quern::target {

/// What limits a bucket.
enum class Limit {
  one,    ///< 1
  seqs,   ///< --max-seqs
  tokens, ///< --max-tokens
};

/// A range of step shapes that kernels are specialised for.
struct Bucket {
  llvm::StringLiteral name;
  Limit tokens; ///< the most of all sequences
  Limit seqs;   ///< the most sequences
};

/// How the kernels of an anchor share out their work.
struct AnchorTraits {
  /// Workers fetch chunks of its work as they come to need more. Between two such kernels there
  /// must be a barrier.
  bool fetchesWork = false;
  /// A single row is no more than one worker's work, and touches no state: in buckets of one token
  /// every worker computes it for itself, in memory of its own.
  bool replicable = false;
};

/// A target. The functions are tables written as rules: they depend on their arguments alone.
struct Target {
  llvm::StringLiteral name; ///< as --target and the attribute `quern.target` have it

  /// Of an entry with a batch, the least first: the first that admits a step is the one that runs
  /// it, and the last admits every step. An entry without a batch gets the last alone.
  llvm::ArrayRef<Bucket> buckets;

  /// Columns of its result that a linear's kernel computes together: what joins it as an epilogue
  /// begins and repeats on multiples of them.
  int64_t panelColumns;
  /// Columns of activations that are quantized together, a pair of groups: a region that quantizes
  /// what it computes finishes multiples of them at a time.
  int64_t pairColumns;

  /// Bytes from one row of `columns` quantized activations to the next, a multiple of 64.
  int64_t (*q8RowBytes)(int64_t columns);
  /// Bytes that a kernel whose workers leave such partials needs while it runs, beside its results,
  /// in a bucket of one token: a multiple of 64; 0 where there are no partials.
  int64_t (*scratchBytes)(const Partials &partials);

  AnchorTraits (*traits)(Anchor anchor);
  /// Bytes of the largest arena of a bucket whose replicable dispatches are replicated: a worker
  /// has memory of its own, that large, for them. 0: none are.
  int64_t replicatedArena;

  /// The format of kv state that --kv auto chooses beside linears whose weights are bf16.
  StateFormat kvBesideBf16;
};

/// All targets, cpu first.
llvm::ArrayRef<Target> all();

/// The target of that name, or null.
const Target *find(llvm::StringRef name);

/// What the module that `op` is or lies in is compiled for: its `quern.target`, cpu where it has
/// none. One that there is not ends the program, with an error: quern-check-symbols has refused it.
const Target &of(mlir::Operation *op);

} // namespace quern::target

#endif // QUERN_PASSES_TARGET_TARGET_H

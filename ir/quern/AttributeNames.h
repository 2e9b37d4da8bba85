// Names of the attributes that a module and its functions carry beside the ops' own.
#ifndef QUERN_IR_QUERN_ATTRIBUTENAMES_H
#define QUERN_IR_QUERN_ATTRIBUTENAMES_H

#include "llvm/ADT/StringRef.h"

namespace quern::attrs {

// Of a module, from import on.
/// Paths of the model's files, which weights number.
inline constexpr llvm::StringLiteral kFiles = "quern.files";
/// What is known of the model: a dictionary with the keys below.
inline constexpr llvm::StringLiteral kModel = "quern.model";
inline constexpr llvm::StringLiteral kModelFamily = "family";
inline constexpr llvm::StringLiteral kModelVocab = "vocab";
inline constexpr llvm::StringLiteral kModelContext = "context";
inline constexpr llvm::StringLiteral kModelHidden = "hidden";
inline constexpr llvm::StringLiteral kModelLayers = "layers";
inline constexpr llvm::StringLiteral kModelSynthetic = "synthetic"; ///< there where weights are

/// The sizes that a caller of an entry chooses, each with the greatest that it may have: a
/// dictionary, name to i64. They are counted in its order.
inline constexpr llvm::StringLiteral kSizes = "quern.sizes";
/// Of these, what the model counts while it runs (`quern.where_true` does): a dictionary, name to
/// the text of an expression over sizes that callers choose, which is the most that it can be.
inline constexpr llvm::StringLiteral kCountedSizes = "quern.counted_sizes";
/// Of an entry: what has to be equal when it is called, [["past + s", "t", "the node that demands
/// it"], ...].
inline constexpr llvm::StringLiteral kEqualSizes = "quern.equal_sizes";

/// Of an entry's argument or result: the element type that callers know it by, where it is not that
/// of the tensor ("u8": signless numbers stand for it).
inline constexpr llvm::StringLiteral kElement = "quern.element";
/// Of an entry's argument or result: what its author calls it.
inline constexpr llvm::StringLiteral kName = "quern.name";
/// What an entry's argument is called that holds tokens' types (BERT's segments).
inline constexpr llvm::StringLiteral kTypesName = "types";

// Of a bucket's function, from the schedule phase on.
inline constexpr llvm::StringLiteral kEntry = "quern.entry";
inline constexpr llvm::StringLiteral kBucket = "quern.bucket";
inline constexpr llvm::StringLiteral kMaxTokens = "quern.max_tokens";
inline constexpr llvm::StringLiteral kMaxSeqs = "quern.max_seqs";
inline constexpr llvm::StringLiteral kMaxRows = "quern.max_rows";
/// There where the entry's caller chooses sizes, and a step is no number of tokens: the three above
/// are 1 then.
inline constexpr llvm::StringLiteral kSized = "quern.sized";

/// Of a dispatch: the source's names for what may be at fault in its kernel, in the order of
/// passes/analysis/FaultSites.h.
inline constexpr llvm::StringLiteral kFaultNames = "quern.fault_names";

// And once planned.
inline constexpr llvm::StringLiteral kArena = "quern.arena";
inline constexpr llvm::StringLiteral kArenaBound = "quern.arena_bound";
// And once ordered.
/// How often workers wait for each other in a step.
inline constexpr llvm::StringLiteral kBarriers = "quern.barriers";

// Of a planned module.
inline constexpr llvm::StringLiteral kWeightsBytes = "quern.weights_bytes";
inline constexpr llvm::StringLiteral kSlotBytes = "quern.slot_bytes";
inline constexpr llvm::StringLiteral kPageBytes = "quern.page_bytes";
inline constexpr llvm::StringLiteral kKvWindows = "quern.kv_windows";

} // namespace quern::attrs

#endif // QUERN_IR_QUERN_ATTRIBUTENAMES_H

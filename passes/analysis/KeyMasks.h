// Masks of attention among rows that hide keys by one number a key, as raising writes them.
#ifndef QUERN_PASSES_ANALYSIS_KEYMASKS_H
#define QUERN_PASSES_ANALYSIS_KEYMASKS_H

#include "ir/quern/QuernDialect.h"

#include "mlir/IR/Builders.h"

#include <optional>

namespace quern {

/// Whether what the attention's mask adds depends on keys and sequences alone.
bool masksKeys(AttentionRowsOp attention);

/// What is added to the scores of key j of sequence b is `hidden` where tokens[b, j] == hiding, and
/// nothing elsewhere.
struct KeyMask {
  mlir::Value tokens; ///< [sequences, keys] of integers: an attention_mask, or ids
  int64_t hiding = 0;
  float hidden = 0; ///< -1e29 or less
};

/// The mask as a tensor [sequences, 1, 1, keys]: a comparison, a choice and a reshape.
mlir::Value makeKeyMask(mlir::OpBuilder &builder, mlir::Location loc, const KeyMask &mask);

/// The attention's mask, where it is one that makeKeyMask wrote.
std::optional<KeyMask> keyMaskOf(AttentionRowsOp attention);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_KEYMASKS_H

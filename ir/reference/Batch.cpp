#include "ir/reference/Batch.h"

#include <absl/strings/str_cat.h>

#include <set>

namespace quern::reference {

absl::StatusOr<PackedBatch> pack(const Batch &batch) {
  PackedBatch packed;
  packed.cu_seqlens.push_back(0);
  std::set<int64_t> slots;
  for (const Sequence &sequence : batch.sequences) {
    const std::string who = absl::StrCat("sequence ", packed.num_seqs(), " of the batch");
    if (sequence.tokens.empty())
      return absl::InvalidArgumentError(absl::StrCat(who, " has no tokens"));
    if (sequence.start < 0)
      return absl::InvalidArgumentError(absl::StrCat(who, " starts at ", sequence.start));
    if (!slots.insert(sequence.slot).second)
      return absl::InvalidArgumentError(
          absl::StrCat(who, " is in slot ", sequence.slot, ", which the batch has already"));
    if (!sequence.types.empty() && sequence.types.size() != sequence.tokens.size())
      return absl::InvalidArgumentError(absl::StrCat(who, " has a type for each token, or none"));
    for (size_t i = 0; i < sequence.tokens.size(); ++i) {
      packed.tokens.push_back(sequence.tokens[i]);
      packed.types.push_back(sequence.types.empty() ? 0 : sequence.types[i]);
      packed.positions.push_back(sequence.start + static_cast<int64_t>(i));
      packed.token_seq.push_back(packed.num_seqs());
    }
    packed.slots.push_back(sequence.slot);
    packed.cu_seqlens.push_back(packed.num_tokens());
  }
  if (packed.slots.empty())
    return absl::InvalidArgumentError("the batch has no sequences");
  int32_t last = -1;
  for (const int32_t row : batch.rows) {
    if (row <= last || row >= packed.num_tokens())
      return absl::InvalidArgumentError(absl::StrCat(
          "row ", row, " of the batch: rows ascend inside [0, ", packed.num_tokens(), ")"));
    last = row;
  }
  packed.rows = batch.rows;
  return packed;
}

} // namespace quern::reference

// What a device with memory of its own keeps beside weights, code, arena and state: the block that
// a step is copied to it in, and the results until they are copied back. A function of the manifest
// and the context alone, so that plan, inspect and the process say the same.
#ifndef QUERN_RUNTIME_DEVICE_STAGING_H
#define QUERN_RUNTIME_DEVICE_STAGING_H

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Artifact.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace quern::device {

/// T, B and R of a step, or a bucket's largest; and the sizes that the entry's caller chose, none
/// where the greatest are meant.
struct StepShape {
  uint64_t tokens = 0, seqs = 0, rows = 0;
  std::span<const int64_t> dims{};
};
StepShape step_shape(const artifact::Entry &entry, const QuernStepArgs &args);
/// The largest step of a bucket. It wants no more rows than it has tokens.
StepShape largest_step(const artifact::Bucket &bucket);

/// Bytes of a dense tensor in a step of that shape; saturates at 2^64 - 1.
uint64_t tensor_bytes(const artifact::TensorDesc &tensor, const StepShape &shape);

/// Where the parts of a bucket's step lie in its block, in bytes from its begin. They have room for
/// the bucket's largest step, so that what a kernel is launched with does not change; only the
/// block tables, which grow with the sequences, come last and are packed, so that no more is copied
/// than a step has.
struct StepLayout {
  uint64_t argmax = 0, barrier = 0, arrivals = 0; ///< of numbers that steps count; 0 when copied
  uint64_t cu_seqlens = 0, positions = 0, token_seq = 0, rows = 0, kv = 0, fixed_state = 0;
  std::vector<uint64_t> inputs; ///< of the entry
  uint64_t tables = 0;          ///< block tables, to the end
  uint64_t table_bytes = 0;     ///< for each page of context
};
StepLayout step_layout(const artifact::Manifest &manifest, const artifact::Entry &entry,
                       const artifact::Bucket &bucket);

/// Where each result of a bucket's largest step lies behind the results' begin, and as a last
/// number the bytes of all.
std::vector<uint64_t> result_layout(const artifact::Entry &entry, const artifact::Bucket &bucket);

/// Bytes of a block, and of results, that serve every bucket of a target.
struct StagingSizes {
  uint64_t step = 0;     ///< of a block without tables
  uint64_t per_page = 0; ///< and for each page of context
  uint64_t results = 0;

  /// A block for a context of that many pages. Saturates.
  uint64_t block(uint64_t pages) const;
  uint64_t total(uint64_t pages) const;
};
StagingSizes staging_sizes(const artifact::Manifest &manifest, std::string_view target);

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_STAGING_H

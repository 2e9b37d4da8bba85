// The weights section: every `quern.packed` of a planned module, computed, packed and written piece
// by piece by several threads, in memory that does not grow with the model.
#ifndef QUERN_CODEGEN_ARTIFACT_WEIGHTS_H
#define QUERN_CODEGEN_ARTIFACT_WEIGHTS_H

#include "codegen/artifact/WeightFindings.h"
#include "ir/quern/QuernDialect.h"
#include "ir/weights/WeightStore.h"
#include "runtime/artifact/AtomicFile.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace quern::artifact {

struct PackOptions {
  int threads = 1;
  /// Called, from one thread at a time, with the bytes of the section done so far.
  std::function<void(uint64_t)> progress;
  /// A format in which what conversions would lose is measured, too. Null: none.
  const formats::Format *beside = nullptr;
};

struct PackedWeights {
  uint64_t checksum = 0; ///< XXH3-64 of the whole section
  /// What was found in each of packed_in_order().
  std::vector<Findings> findings;
};

/// Reads rows first .. first+count-1 of the packed weight of that name, decoded, to `out`.
using PackedRows =
    std::function<absl::Status(const std::string &name, int64_t first, int64_t count, float *out)>;

/// The packed weights by offset, which is the order of their first use.
std::vector<PackedOp> packed_in_order(mlir::ModuleOp planned);

/// Bytes that `packed` takes in the section. Errors name a packing that is not known, or one that
/// does not hold the weight's format.
absl::StatusOr<uint64_t> packed_bytes(PackedOp packed);

/// Writes the section of `section_bytes` bytes (the module's `quern.weights_bytes`) into `file`
/// from `file_offset` on. The same module and files give the same bytes, whatever the threads.
/// Errors: a weight whose bytes cannot be read or converted, or of which its format would hold next
/// to nothing, by its name; a plan that contradicts itself; the disk's.
absl::StatusOr<PackedWeights> pack_weights(mlir::ModuleOp planned,
                                           const weights::WeightStore &store, AtomicFile &file,
                                           uint64_t file_offset, uint64_t section_bytes,
                                           const PackOptions &options);

/// The bytes of one weight, as pack_weights would write them.
absl::StatusOr<std::string> packed_weight(PackedOp packed, const weights::WeightStore &store);

/// Reads bytes of the weights, from `offset` on.
using WeightBytes = std::function<absl::Status(uint64_t offset, void *to, uint64_t bytes)>;

/// Reads packed weights where `read` has their bytes; from any thread, as long as `planned` is
/// there.
PackedRows packed_rows(mlir::ModuleOp planned, WeightBytes read);

/// Reads what pack_weights wrote; from any thread, as long as `planned` and `file` are there.
PackedRows packed_rows(mlir::ModuleOp planned, const AtomicFile &file, uint64_t file_offset);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_WEIGHTS_H

// The part of Artifact.h's validate() that looks at an entry's tensors and sizes.
#ifndef QUERN_RUNTIME_ARTIFACT_VALIDATETENSORS_H
#define QUERN_RUNTIME_ARTIFACT_VALIDATETENSORS_H

#include "runtime/artifact/manifest_generated.h"

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace quern::artifact {

/// Generous, and small enough that sums and products of a few such numbers stay inside 64 bits.
inline constexpr uint64_t kMaxBytes = uint64_t{1} << 46;

/// DataLoss: that place of the manifest is not as it must be.
absl::Status wrong(const std::string &where, std::string_view what);

/// FlatBuffers' verifier checks where a vector begins, not that its 8-byte elements lie as the CPU
/// likes.
bool is_aligned(const flatbuffers::Vector<int64_t> *shape);

/// Types, shapes and symbolic dimensions of the entry's inputs and outputs.
absl::Status check_tensors(const Entry &entry, const std::string &where);

/// The sizes that its caller chooses: each is in the dimension of some input, its name is not one
/// of T, B and R, and what has to be equal is an expression over them. Those that the model counts
/// are in none of an input, and bounded by an expression over the others. The entry then has one
/// bucket of each target, of a step of one token.
absl::Status check_sizes(const Entry &entry, const std::string &where);

} // namespace quern::artifact

#endif // QUERN_RUNTIME_ARTIFACT_VALIDATETENSORS_H

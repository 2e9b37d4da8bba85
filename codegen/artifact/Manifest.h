// The manifest of an artifact, made from a planned module.
#ifndef QUERN_CODEGEN_ARTIFACT_MANIFEST_H
#define QUERN_CODEGEN_ARTIFACT_MANIFEST_H

#include "ir/formats/Format.h"
#include "runtime/artifact/manifest_generated.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace quern::artifact {

/// A section as the manifest lists it.
struct SectionEntry {
  SectionKind kind = SectionKind::weights;
  std::string name; ///< of a code section: the variant
  uint64_t offset = 0;
  uint64_t bytes = 0; ///< used; the size is that, padded to a page
  uint64_t checksum = 0;
};

/// What the module does not say.
struct ManifestExtras {
  std::string producer;
  std::string source; ///< the model's file name, without its folder
  uint64_t source_hash = 0;
  uint64_t context = 0;
  uint64_t max_tokens = 0;
  uint64_t max_seqs = 0;
  std::vector<std::string> flags;
  struct Variant {
    std::string target;
    std::string name;
    std::vector<std::string> features;
  };
  std::vector<Variant> variants;
  /// Of weights that the file does not hold (OmittedWeights.h); 0 bytes: it holds them all.
  uint64_t weights_bytes = 0;
  std::vector<MadeWeight> made;
  std::vector<KeptWeight> kept;
  /// Of an artifact with an entry `encode`: what its texts are given.
  struct Encoder {
    uint64_t max_length = 0;
    std::vector<std::pair<std::string, std::string>> prompts; ///< name and text
    std::string default_prompt;
    std::vector<std::string> labels;
  };
  std::optional<Encoder> encoder;
};

/// The FlatBuffer of an artifact for the targets of these modules, of which check_agreement holds:
/// what they share is as the first one has it. Its size depends on neither the sections' offsets
/// and checksums nor on `errors` (one for each of packed_in_order()), so it can be made once to
/// know where the sections begin, and again when they are written.
absl::StatusOr<std::string> build_manifest(std::span<const mlir::ModuleOp> planned,
                                           const ManifestExtras &extras,
                                           const std::vector<SectionEntry> &sections,
                                           const std::vector<formats::ErrorStats> &errors);

/// Whether the runtime would take an artifact of that plan: what it refuses to believe of any file,
/// such as pages of 64 TiB, it would refuse of this one.
absl::Status check_limits(std::span<const mlir::ModuleOp> planned, const ManifestExtras &extras);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_MANIFEST_H

// Writes .quern artifacts. The format is specified in FORMAT.md, beside this file.
#ifndef QUERN_CODEGEN_ARTIFACT_WRITER_H
#define QUERN_CODEGEN_ARTIFACT_WRITER_H

#include "codegen/artifact/Manifest.h"
#include "codegen/artifact/Proof.h"
#include "codegen/artifact/Weights.h"
#include "ir/weights/WeightStore.h"
#include "runtime/artifact/AtomicFile.h"

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <vector>

namespace quern::artifact {

struct Contents {
  /// One a target, of which check_agreement holds.
  std::vector<mlir::ModuleOp> planned;
  ManifestExtras extras;
  /// Code sections, one for each of extras.variants, in that order.
  std::vector<std::string> code;
  std::string tokenizer; ///< a tokenizer section's bytes; empty: the model has none
  /// The proof, its logits still zeros.
  ProofContents proof;
  /// Fills in the proof's logits, from the weights as they were written, and adds notes.
  std::function<absl::Status(ProofContents &, const PackedRows &)> compute_logits;
  /// Synthetic weights are left out, for what opens the artifact to make (OmittedWeights.h). What
  /// extras says of them is filled in.
  bool omit_weights = false;
};

/// What came to light while an artifact was written.
struct Written {
  /// What each of packed_in_order() lost in conversion; nothing is counted where there was none.
  std::vector<formats::ErrorStats> errors;
  /// What it would have lost in the format beside (PackOptions), if there is one.
  std::vector<formats::ErrorStats> errors_beside;
  /// The proof's notes.
  std::vector<std::string> notes;
};

/// Writes the whole artifact into `file` and commits it. `store` has the module's files, in order.
/// The same contents and files give the same bytes. What weight_notes has to say becomes notes of
/// the proof. Errors: pack_weights' and the disk's; nothing is left behind then.
absl::StatusOr<Written> write_artifact(const Contents &contents, const weights::WeightStore &store,
                                       AtomicFile &file, const PackOptions &options);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_WRITER_H

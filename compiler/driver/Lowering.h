// From a model's files to a planned module: what `compile` and `plan` share.
#ifndef QUERN_COMPILER_DRIVER_LOWERING_H
#define QUERN_COMPILER_DRIVER_LOWERING_H

#include "compiler/pipeline/Pipeline.h"
#include "frontends/Import.h"
#include "runtime/cli/Flags.h"

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace quern::driver {

/// The flags that shape what is compiled.
struct ModelFlags {
  PipelineOptions pipeline;
  uint64_t context = 0;  ///< 0: the model's own
  std::string synthetic; ///< a seed; empty: the weights are the model's
  /// Weights have the formats that config.json says, and no values (`quern plan`; no flag sets it).
  bool formats_only = false;
  std::string ignored_keys; ///< a list of the model's keys to go on without

  std::vector<cli::Flag> flags();
  /// The first value that makes no sense, with a line "hint: ...": wrong usage.
  absl::Status check() const;
  /// As the artifact records them, sorted.
  std::vector<std::string> recorded() const;
  ImportOptions import_options() const;
};

/// What else happens along the way.
struct LoweringOptions {
  Phase to = Phase::plan; ///< the last phase that runs
  int threads = 1;
  bool remarks = false;        ///< what passes did, and what they could not, on stderr
  PipelineCallbacks callbacks; ///< also called around the import
};

struct Lowered {
  std::unique_ptr<mlir::MLIRContext> context;
  ImportedModel model; ///< its module as the last phase left it
};

/// Imports the model and runs the phases up to `options.to`. Errors are what the compiler said,
/// under the model's own names.
absl::StatusOr<Lowered> lower(const std::string &model, const ModelFlags &flags,
                              const LoweringOptions &options);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_LOWERING_H

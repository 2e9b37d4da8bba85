// From a model's files to a planned module: what `compile` and `plan` share.
#ifndef QUERN_COMPILER_DRIVER_LOWERING_H
#define QUERN_COMPILER_DRIVER_LOWERING_H

#include "codegen/artifact/Manifest.h"
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
  bool identify = true;          ///< ImportOptions::identify (no flag sets it)
  std::string ignored_keys;      ///< a list of the model's keys to go on without
  std::vector<std::string> dims; ///< NAME=MAX of an ONNX graph's dimensions

  std::vector<cli::Flag> flags();
  /// The first value that makes no sense, with a line "hint: ...": wrong usage.
  absl::Status check() const;
  /// As the artifact records them, sorted.
  std::vector<std::string> recorded() const;
  ImportOptions import_options() const;
};

/// The flags' options as they are for the model: an encoder's steps hold its longest text, and more
/// sequences than a decoder's.
PipelineOptions pipeline_for(const ImportedModel &model, const ModelFlags &flags);

/// What a manifest says of the model itself: the limits of its steps, and what its texts are given
/// if it is an encoder.
artifact::ManifestExtras model_extras(const ImportedModel &model, const ModelFlags &flags);

/// What else happens along the way.
struct LoweringOptions {
  std::vector<std::string> targets = {"cpu"}; ///< names of targets, at least one
  Phase to = Phase::order;                    ///< the last phase that runs
  int threads = 1;
  bool remarks = false;        ///< what passes did, and what they could not, on stderr
  PipelineCallbacks callbacks; ///< also called around the import
  /// Before the phases of a target run.
  std::function<void(const std::string &target)> begins;
};

/// The modules of a list that owns them.
std::vector<mlir::ModuleOp> unowned(const std::vector<mlir::OwningOpRef<mlir::ModuleOp>> &modules);

struct Lowered {
  std::unique_ptr<mlir::MLIRContext> context;
  ImportedModel model; ///< without its module
  /// As the last phase left them, one of each target, in that order; of `import` there is one.
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> modules;

  /// The same, not owned.
  std::vector<mlir::ModuleOp> list() const { return unowned(modules); }
};

/// Clones the imported module, and says in it which of the targets it is for.
mlir::OwningOpRef<mlir::ModuleOp> module_for(const std::string &target,
                                             const std::vector<std::string> &targets,
                                             mlir::ModuleOp imported);

/// Imports the model, once, and runs the phases up to `options.to` for each target. Errors are what
/// the compiler said, under the model's own names.
absl::StatusOr<Lowered> lower(const std::string &model, const ModelFlags &flags,
                              const LoweringOptions &options);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_LOWERING_H

// One compilation, from a model's files to an artifact.
#ifndef QUERN_COMPILER_DRIVER_COMPILATION_H
#define QUERN_COMPILER_DRIVER_COMPILATION_H

#include "compiler/driver/Lowering.h"
#include "compiler/driver/Targets.h"

#include <absl/status/status.h>

#include <optional>
#include <string>
#include <vector>

namespace quern::driver {

inline constexpr int kMostJobs = 1024;

/// What `quern compile` was asked for.
struct CompileOptions {
  std::string model;
  std::string output;
  ModelFlags model_flags;
  std::vector<ChosenTarget> targets; ///< at least one
  std::string quant_report;          ///< a file; empty: none
  std::optional<Phase> to;           ///< print_ir's last phase
  std::string emit_dir;              ///< a folder; empty: nothing is dumped
  std::string cache;                 ///< a folder of code made before; empty: all is made again
  bool omit_weights = false;         ///< synthetic ones are made when the artifact is opened
  bool remarks = false;
  bool timing = false;
  int jobs = 0;
  bool quiet = false;
};

/// Compiles `options.model` to `options.output`, which is written whole or not at all.
absl::Status compile_model(const CompileOptions &options);

/// Stops after `options.to` and writes the module to `options.output`, or to stdout where that is
/// empty: one of each target, with "// -----" between.
absl::Status print_ir(const CompileOptions &options);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_COMPILATION_H

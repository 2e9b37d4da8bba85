// What a model is compiled for: --target and --variant, as `compile` and `check` take them.
#ifndef QUERN_COMPILER_DRIVER_TARGETS_H
#define QUERN_COMPILER_DRIVER_TARGETS_H

#include "codegen/cpu/CpuCodegen.h"
#include "runtime/cli/Flags.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

namespace quern::driver {

struct TargetFlags {
  std::string target = "cpu";
  std::string variant;

  std::vector<cli::Flag> flags();
  /// Wrong usage: a name that is none.
  absl::Status check() const;
  /// What is asked for and this build does not make, each with a line "hint: ...".
  std::vector<absl::Status> refused() const;
  /// What is asked for, in the order of cpu::variants(), each once.
  absl::StatusOr<std::vector<const cpu::Variant *>> variants() const;
};

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_TARGETS_H

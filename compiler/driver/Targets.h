// What a model is compiled for: --target and --variant, as `compile`, `check` and `plan` take them.
#ifndef QUERN_COMPILER_DRIVER_TARGETS_H
#define QUERN_COMPILER_DRIVER_TARGETS_H

#include "codegen/Target.h"
#include "runtime/cli/Flags.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

namespace quern::driver {

/// A target, and the variants of it that are wanted: at least one, in the target's order.
struct ChosenTarget {
  const codegen::Target *target;
  std::vector<const codegen::VariantInfo *> variants;

  std::vector<std::string> variant_names() const;
};

struct TargetFlags {
  std::string target = "cpu";
  std::string variant;

  cli::Flag target_flag();
  std::vector<cli::Flag> flags();
  /// Wrong usage: a name that is none, or a variant of a target that is not asked for.
  absl::Status check() const;
  /// What cannot be made here, each "--target cuda: ..." with a line "hint: ...".
  std::vector<absl::Status> refused() const;
  /// What is asked for, in the order of codegen::targets(), whether it can be made here or not.
  /// Requires that check() is ok. Error: `native` of a target that this machine does not run.
  absl::StatusOr<std::vector<ChosenTarget>> chosen() const;
  /// The names of what is asked for.
  std::vector<std::string> names() const;

private:
  /// How to name what `native` is of the other targets where `without` has none, as part of a hint.
  std::string others_by_name(std::string_view without) const;
};

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_TARGETS_H

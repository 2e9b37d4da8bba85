// A target: a kind of machine that planned modules become code for. What passes ask of one is data
// (passes/target/Target.h); this is what the driver asks: variants, and code for them.
//
// To add a target, implement this, add it to Targets.cpp, and describe it in passes/target.
#ifndef QUERN_CODEGEN_TARGET_H
#define QUERN_CODEGEN_TARGET_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlir {
class ModuleOp;
}

namespace quern::codegen {

/// A level of a target's instructions.
struct VariantInfo {
  std::string name;                   ///< "x86-64-v3", "sm_80"
  std::vector<std::string> required;  ///< what the machine must have, as the runtime names it
  std::vector<std::string> spellings; ///< other names that flags may use: "a100"
  /// About how many bytes of its code section a kernel takes, in all its forms: what `quern plan`
  /// guesses by.
  uint64_t bytes_a_kernel;
};

struct GenerateOptions {
  /// Receives each intermediate text as it is made: a file name such as "code.x86-64-v3.ll" and
  /// the text (`--emit-dir`). Empty: none are made.
  std::function<void(std::string_view name, std::string_view text)> emit;
  /// Is told how long each step took: "kernels", "x86-64-v3: optimization". Steps of different
  /// variants may have run together.
  std::function<void(std::string_view step, double seconds)> took;
  int threads = 1;   ///< pieces that are worked on at a time; 1 where texts are wanted
  std::string cache; ///< a folder of code made before (CodeCache.h); empty: none is used
};

class Target {
public:
  virtual ~Target() = default;

  /// As --target has it.
  virtual std::string_view name() const = 0;

  /// All variants, least demanding first.
  virtual std::span<const VariantInfo> variants() const = 0;

  /// The most demanding variant that runs on this machine. Error: FailedPrecondition, saying what
  /// the machine lacks.
  virtual absl::StatusOr<std::string> native() const = 0;

  /// Whether what makes the code is there (a compiler that is loaded at run time). Error:
  /// FailedPrecondition, with what to install.
  virtual absl::Status available() const = 0;

  /// Whether generate() can make the kernels of a planned module, on any variant: what it cannot is
  /// an error on the kernel, given to the context's diagnostic handler. Needs nothing available().
  virtual absl::Status check(mlir::ModuleOp planned) const = 0;

  /// The bytes of a code section for each of the variants, for a module that holds what the order
  /// phase promises and was planned for this target. The same module gives the same bytes, with a
  /// cache or without, alone or beside other variants.
  virtual absl::StatusOr<std::vector<std::string>>
  generate(mlir::ModuleOp planned, std::span<const std::string> variants,
           const GenerateOptions &options) const = 0;
};

/// All targets of this build, cpu first.
std::span<const Target *const> targets();
/// The target of that name, or null.
const Target *find_target(std::string_view name);

} // namespace quern::codegen

#endif // QUERN_CODEGEN_TARGET_H

// Bodies of loops, run over many points at once (internal to ir/reference).
//
// A value of a body is a vector of numbers, one a point; ops go over whole vectors one after the
// other, so that what an op costs beside its numbers is paid once a block. Where points part (a
// condition, a loop's count), the ops of either way run over those that go it.
#ifndef QUERN_IR_REFERENCE_BODY_H
#define QUERN_IR_REFERENCE_BODY_H

#include "ir/reference/Lanes.h"

#include "mlir/IR/Block.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace quern::reference {

/// Whether ops of this name mean something in a body.
bool in_bodies(llvm::StringRef op);

class Body {
public:
  /// Points that are run at once, at most.
  static constexpr size_t kBlock = 1024;
  /// Gives the values that a body uses from outside of it.
  using Outside = llvm::function_ref<absl::StatusOr<TensorPtr>(mlir::Value)>;

  struct Options {
    bool float64 = false; ///< floats are doubles, whatever their type
    /// Yielded values are not rounded: they are sums that go on.
    bool keep_yielded = false;
  };

  /// Computes `values` of the block: of its ops those that are needed for them.
  static absl::StatusOr<std::unique_ptr<Body>>
  create(mlir::Block &block, llvm::ArrayRef<mlir::Value> values, Outside outside, Options options);

  /// The block's argument: to be filled before a run, where it is used.
  Lanes &argument(unsigned number) { return slots_[code_.arguments[number]]; }
  bool uses_argument(unsigned number) const { return used_[code_.arguments[number]]; }
  /// The loops whose counters the body asks for, and where they are to be filled in.
  const std::vector<std::pair<unsigned, size_t>> &counters() const { return counters_; }
  Lanes &slot(size_t slot) { return slots_[slot]; }

  absl::Status run(size_t count) { return run(code_, count); }
  /// Of the values that it was made for.
  const Lanes &result(unsigned number) const { return slots_[code_.yields[number]]; }

private:
  struct Code;
  struct Step {
    mlir::Operation *op = nullptr;
    LaneFn function = nullptr; ///< null: extract, if or for
    std::vector<size_t> in, out;
    std::vector<mlir::FloatType> rounding; ///< of each result; null: none
    TensorPtr tensor;                      ///< that an extract reads
    size_t counter = 0;                    ///< of a for: where its counter is
    std::vector<Code> regions;
  };
  struct Code {
    std::vector<Step> steps;
    std::vector<size_t> arguments, yields;
    /// What it reads that differs between points and is made outside of it.
    std::vector<size_t> captured;
  };

  explicit Body(Options options) : options_(options) {}

  absl::Status compile(mlir::Operation &op, Outside outside, Code &code);
  absl::Status compile_region(mlir::Region &region, Outside outside, Code &code);
  absl::StatusOr<size_t> read(mlir::Value value, Outside outside);
  absl::StatusOr<size_t> make(mlir::Value value, bool varies = true);
  void find_captured(Code &code) const;

  absl::Status run(const Code &code, size_t count);
  absl::Status extract(const Step &step, size_t count);
  absl::Status choose(const Step &step, size_t count);
  absl::Status loop(const Step &step, size_t count);
  /// Runs `code` on some points of `count`: its arguments are those of the slots `given`, and what
  /// it yields goes to the same points of `results`.
  absl::Status run_some(const Code &code, size_t count, std::span<const uint32_t> points,
                        std::span<const size_t> given, std::span<const size_t> results);

  Options options_;
  std::vector<Lanes> slots_;
  std::vector<bool> varies_; ///< by slot: it is not one number for all points
  std::vector<bool> used_;   ///< by slot: something reads it
  std::vector<std::pair<unsigned, size_t>> counters_;
  llvm::DenseMap<mlir::Value, size_t> slot_of_;
  llvm::DenseSet<mlir::Value> kept_; ///< not rounded
  Code code_;
};

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_BODY_H

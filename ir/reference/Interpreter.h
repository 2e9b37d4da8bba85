// The interpreter of the quern dialect: what a module means, at every phase.
//
// It runs a module as it is after any pass, from import (model ops) over fused regions and
// quantized rows to dispatches of kernels, one op at a time, as each op's description says it. It
// is the oracle of the passes and of generated code, so it is plain before it is fast; weights are
// decoded a block of rows at a time, so that the model need not fit in memory.
//
// Precision. In float32 every value between ops is a float, as in generated code; sums inside an op
// (norms, softmax, recurrences) are made in double and rounded once. Only linear sums in float, in
// 16 interleaved accumulators: that is what keeps it quick, and its error, about sqrt(K/16) half
// ulps, is of the size of the rounding of its result. In float64 everything is double, from the
// decoded float weights on.
//
// Tensors of general programs hold every float type's numbers as doubles. In float32 an op's result
// is rounded to its type, float16 and bfloat16 too, from a result that is right in double; in
// float64 floats of all types keep what double has, so that a program's meaning does not hang on
// the order of its sums, and only arith.bitcast sees the type's digits. A reduction is added up in
// double either way, the products of a contraction unrounded, and rounded once when it is done: no
// order of sums is any closer. Integers are exact, of up to 64 bits. What MLIR calls undefined
// (dividing by zero) is an error; what it calls poison (a shift too far, a cast that does not fit),
// which a select may throw away, is some number: Lanes<Family>.cpp say which.
#ifndef QUERN_IR_REFERENCE_INTERPRETER_H
#define QUERN_IR_REFERENCE_INTERPRETER_H

#include "ir/reference/Batch.h"
#include "ir/reference/ReferenceState.h"
#include "ir/reference/ReferenceWeight.h"
#include "ir/reference/Tensor.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern {
enum class UnaryKind : uint32_t; // ir/quern/QuernDialect.h
}

namespace quern::reference {

/// A result of an entry: `rows` rows of `cols` numbers (logits [R, vocab]). In float32 mode each is
/// a float.
struct Output {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<double> values;

  double at(int64_t row, int64_t col) const {
    return values[static_cast<size_t>(row * cols + col)];
  }
};

/// A schedule of an entry: a function with the attribute `quern.bucket`. Limits are inclusive.
struct Bucket {
  std::string name; ///< decode1, decode, prefill; empty for an entry that is not scheduled
  int64_t max_tokens = INT64_MAX;
  int64_t max_seqs = INT64_MAX;
  int64_t max_rows = INT64_MAX;

  bool admits(const PackedBatch &batch) const {
    return batch.num_tokens() <= max_tokens && batch.num_seqs() <= max_seqs &&
           batch.num_rows() <= max_rows;
  }
};

/// Runs one module. Not for several threads at once.
class Interpreter {
public:
  struct Options {
    bool float64 = false;
    /// Formats round nothing: weights converted to another format, rows quantized to int8 and kv
    /// state are the numbers they were made from. What is left is what the module says apart from
    /// formats, which a pass that chooses them must not change. Weights stored in a format are read
    /// as they are.
    bool exact_formats = false;
    /// Threads of a linear. The numbers do not depend on it.
    int threads = 2;
    /// Decoded weights kept between uses.
    size_t cache_bytes = 64 << 20;
    /// The files of `quern.files`, by their index there; null: the interpreter maps them itself.
    std::shared_ptr<const weights::WeightStore> weights = nullptr;
    /// Reads `quern.packed` weights from where they are packed already; null: their bodies are
    /// computed.
    PackedRows packed = nullptr;
  };

  /// For a module that verifies. The module must outlive the interpreter and not change meanwhile.
  /// Fails if one of its weights' files cannot be read.
  static absl::StatusOr<std::unique_ptr<Interpreter>> create(mlir::ModuleOp module,
                                                             Options options);
  static absl::StatusOr<std::unique_ptr<Interpreter>> create(mlir::ModuleOp module) {
    return create(module, Options());
  }
  virtual ~Interpreter() = default;

  /// The buckets of an entry in the module's order; one without a name if it is not scheduled yet;
  /// none if there is no such entry.
  virtual std::vector<Bucket> buckets(const std::string &entry) const = 0;

  /// Runs an entry on a batch, by the named bucket, or where that is empty by the first that admits
  /// the batch. Each sequence starts where its slot is, or earlier: at 0 it begins anew, in between
  /// it is truncated (kv state only). Returns the entry's results.
  /// Fails, naming the op, on a bad batch, a token outside the vocabulary, an unreadable weight or
  /// an op that has no eval; the batch's slots are undefined then, until they are reset.
  virtual absl::StatusOr<std::vector<Output>> run(const std::string &entry, const Batch &batch,
                                                  ReferenceState &state,
                                                  const std::string &bucket = {}) = 0;

  /// Runs an entry that has no batch: on tensors, to tensors. The sizes that it is written with are
  /// those of the inputs' shapes. Where it is scheduled, by its first bucket. Inputs' numbers are
  /// rounded, or wrapped, to what their type holds: an unsigned 255 of 8 bits may be written so.
  /// Fails, naming the input and its dimension, on what is not of the input's type, and, naming the
  /// op, on an index out of range, shapes that disagree, a division by zero, and as run does.
  virtual absl::StatusOr<std::vector<Tensor>> call(const std::string &entry,
                                                   std::span<const Tensor> inputs) = 0;

  /// The one result of the entry `step`: logits of the batch's rows.
  absl::StatusOr<Output> step(const Batch &batch, ReferenceState &state,
                              const std::string &bucket = {});
};

/// A quern.unary's function of one number.
double unary_value(UnaryKind kind, double x);

/// Whether the op of this name ("quern.linear") has an eval: every op of the dialect has.
bool has_eval(const std::string &op);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_INTERPRETER_H

// What evals work with (internal to ir/reference): runtime values, and the frame that holds them.
//
// An eval is `absl::Status eval(Frame<Scalar> &, SomeOp)`: it reads the op's operands from the
// frame and sets its results. Each file Eval<Family>.cpp mirrors a family of ir/quern and registers
// its evals in one function.
#ifndef QUERN_IR_REFERENCE_FRAME_H
#define QUERN_IR_REFERENCE_FRAME_H

#include "ir/quern/QuernDialect.h"
#include "ir/reference/Batch.h"
#include "ir/reference/Describe.h"
#include "ir/reference/ReferenceState.h"
#include "ir/reference/ReferenceWeight.h"
#include "ir/reference/Sizes.h"
#include "ir/reference/Tensor.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace quern::reference {

/// Activation rows; also q8_rows, which stand for the numbers scale * code.
template <class S> struct Rows {
  int64_t rows = 0, cols = 0;
  std::vector<S> data;

  Rows() = default;
  Rows(int64_t rows, int64_t cols)
      : rows(rows), cols(cols), data(static_cast<size_t>(rows * cols)) {}
  S *operator[](int64_t row) { return data.data() + row * cols; }
  const S *operator[](int64_t row) const { return data.data() + row * cols; }
};

using Indices = std::vector<int32_t>;
/// The value of a state_ref: which state. Its numbers are in the ReferenceState, by slot.
struct StateHandle {
  std::string name;
};
/// The value of the batch: there is one a step, in the Step.
struct BatchHandle {};

template <class S>
using Value = std::variant<std::shared_ptr<const Rows<S>>, std::shared_ptr<const Indices>,
                           TensorPtr, WeightPtr, StateHandle, BatchHandle>;

template <class S> class Frame;
template <class S> using Eval = absl::Status (*)(Frame<S> &, mlir::Operation *);

/// Op name -> eval.
template <class S> class EvalTable {
public:
  /// Every op's eval.
  static const EvalTable &all();

  template <class Op, absl::Status (*Fn)(Frame<S> &, Op)> void add() {
    evals_[Op::getOperationName()] = [](Frame<S> &frame, mlir::Operation *op) {
      return Fn(frame, mlir::cast<Op>(op));
    };
  }
  void add(llvm::StringRef name, Eval<S> eval) { evals_[name] = eval; }
  Eval<S> find(llvm::StringRef name) const { return evals_.lookup(name); }

private:
  llvm::StringMap<Eval<S>> evals_;
};

/// What a module's weights are, kept between steps so that the cache knows them again.
struct WeightContext {
  std::shared_ptr<const weights::WeightStore> store;
  PackedRows packed;
  WeightCache cache;
  /// What weight ops made, by op and inputs.
  std::map<std::pair<mlir::Operation *, std::vector<WeightPtr>>, WeightPtr> made;

  explicit WeightContext(size_t cache_bytes) : cache(cache_bytes) {}
  /// The weight `op` makes of `inputs`: made once.
  template <class Make>
  WeightPtr make(mlir::Operation *op, std::vector<WeightPtr> inputs, Make make) {
    auto &weight = made[{op, std::move(inputs)}];
    if (!weight)
      weight = make();
    return weight;
  }
};

/// All that a step's evals share.
struct Step {
  const PackedBatch &batch;
  ReferenceState &state;
  WeightContext &weights;
  mlir::ModuleOp module;
  mlir::SymbolTableCollection &symbols;
  int threads;
  bool exact_formats;                  ///< Interpreter::Options has it
  Sizes sizes;                         ///< T, B and R, or what inputs' shapes say
  int calls = 0;                       ///< of symbols, one inside the other
  mlir::Operation *dispatch = nullptr; ///< the one under way, if any
};

/// The values of one region's run.
template <class S> class Frame {
public:
  Frame(Step &step, std::vector<Value<S>> arguments)
      : step(step), arguments(std::move(arguments)) {}

  Step &step;
  /// Of the region or symbol this frame is for: what it was given, what it has returned.
  std::vector<Value<S>> arguments, returned;

  // Model ops and general ones see the same values, these as tensors, those as rows and indices: a
  // value is turned into what it is asked for as, and stays it.
  const Rows<S> &rows(mlir::Value value) const;
  const Indices &indices(mlir::Value value) const;
  TensorPtr tensor(mlir::Value value) const;
  const WeightPtr &weight(mlir::Value value) const { return std::get<WeightPtr>(value_of(value)); }
  const std::string &state(mlir::Value value) const {
    return std::get<StateHandle>(value_of(value)).name;
  }
  const Value<S> &value_of(mlir::Value value) const { return slot(value); }
  std::vector<Value<S>> values_of(mlir::ValueRange values) const;

  /// All elements of a small weight (norms, biases, convolutions), row-major.
  absl::StatusOr<WeightCache::Block> elements(mlir::Value weight) const {
    return step.weights.cache.all(this->weight(weight));
  }

  void set(mlir::Value result, Value<S> value) { values_[result] = std::move(value); }
  void set_rows(mlir::Value result, Rows<S> rows) {
    set(result, std::make_shared<const Rows<S>>(std::move(rows)));
  }
  void set_tensor(mlir::Value result, Tensor tensor) {
    set(result, std::make_shared<const Tensor>(std::move(tensor)));
  }
  /// Whether floats are doubles, whatever their type.
  static constexpr bool kFloat64 = std::is_same_v<S, double>;

  /// Runs a region of one block; its values live in a frame of their own, dropped after their last
  /// use.
  absl::StatusOr<std::vector<Value<S>>> run(mlir::Region &region,
                                            std::vector<Value<S>> arguments) const;
  /// The same of a region whose ops use values of this frame, too.
  absl::StatusOr<std::vector<Value<S>>> run_within(mlir::Region &region,
                                                   std::vector<Value<S>> arguments) const;

  /// Records that `op` computes the row of token `t` of its `rows` with an intermediate number that
  /// is finite in double and not in float32, which generated code computes it in.
  void note_overflow(mlir::Operation *op, int64_t t, int64_t rows) const;

  /// What the module's symbol gives for `arguments`: a weight, a state, a kernel's results.
  absl::StatusOr<std::vector<Value<S>>> call(llvm::StringRef symbol,
                                             std::vector<Value<S>> arguments) const;

private:
  absl::Status run_block(mlir::Block &block);
  absl::Status eval(mlir::Operation *op);
  Value<S> &slot(mlir::Value value) const;

  /// The frame of the region around this one's, if its values are seen here.
  const Frame *outer_ = nullptr;
  mutable llvm::DenseMap<mlir::Value, Value<S>> values_;
};

/// A value of a tensor type as a tensor.
template <class S> TensorPtr as_tensor(const Value<S> &value, mlir::RankedTensorType type);

/// The registrations of Eval<Family>.cpp.
template <class S> void add_weight_evals(EvalTable<S> &table);
template <class S> void add_state_evals(EvalTable<S> &table);
template <class S> void add_matmul_evals(EvalTable<S> &table);
template <class S> void add_expert_evals(EvalTable<S> &table);
template <class S> void add_norm_evals(EvalTable<S> &table);
template <class S> void add_attention_evals(EvalTable<S> &table);
template <class S> void add_scan_evals(EvalTable<S> &table);
template <class S> void add_tensor_evals(EvalTable<S> &table);
template <class S> void add_region_evals(EvalTable<S> &table);
template <class S> void add_general_evals(EvalTable<S> &table);
template <class S> void add_slice_evals(EvalTable<S> &table);
template <class S> void add_linalg_evals(EvalTable<S> &table);
template <class S> void add_control_evals(EvalTable<S> &table);

} // namespace quern::reference

/// Instantiates a family's registration for both scalars.
#define QUERN_INSTANTIATE_EVALS(add)                                                               \
  template void add<float>(EvalTable<float> &);                                                    \
  template void add<double>(EvalTable<double> &);

#endif // QUERN_IR_REFERENCE_FRAME_H

#include "ir/reference/Interpreter.h"

#include "ir/quern/AttributeNames.h"
#include "ir/reference/Frame.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <absl/strings/str_cat.h>

namespace quern::reference {
namespace {

struct Schedule {
  Bucket bucket;
  mlir::func::FuncOp function;
};

int64_t limit(mlir::Operation *op, llvm::StringRef name) {
  auto attr = op->getAttrOfType<mlir::IntegerAttr>(name);
  return attr ? attr.getInt() : INT64_MAX;
}

std::vector<Schedule> schedules(mlir::ModuleOp module, const std::string &entry) {
  std::vector<Schedule> found;
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    if (function.isDeclaration())
      continue;
    auto of = function->getAttrOfType<mlir::StringAttr>(attrs::kEntry);
    auto bucket = function->getAttrOfType<mlir::StringAttr>(attrs::kBucket);
    if (of && bucket && of.getValue() == entry)
      found.push_back({{.name = bucket.str(),
                        .max_tokens = limit(function, attrs::kMaxTokens),
                        .max_seqs = limit(function, attrs::kMaxSeqs),
                        .max_rows = limit(function, attrs::kMaxRows)},
                       function});
    else if (!of && function.getName() == entry)
      found.push_back({{}, function});
  }
  return found;
}

/// A caller's tensor with numbers as Tensor says: an unsigned 255 of 8 bits is -1.
template <class S> Tensor kept(Tensor tensor) {
  if (auto type = mlir::dyn_cast<mlir::FloatType>(tensor.element); type && !Frame<S>::kFloat64)
    round_to(type, tensor.floats);
  for (int64_t &number : tensor.ints)
    number = wrapped(number, width_of(tensor.element));
  return tensor;
}

template <class S> class TypedInterpreter final : public Interpreter {
public:
  TypedInterpreter(mlir::ModuleOp module, Options options,
                   std::shared_ptr<const weights::WeightStore> store)
      : module_(module), threads_(options.threads), exact_formats_(options.exact_formats),
        weights_(options.cache_bytes) {
    weights_.store = std::move(store);
    weights_.packed = std::move(options.packed);
  }

  std::vector<Bucket> buckets(const std::string &entry) const override {
    std::vector<Bucket> result;
    for (const Schedule &schedule : schedules(module_, entry))
      result.push_back(schedule.bucket);
    return result;
  }

  absl::StatusOr<std::vector<Output>> run(const std::string &entry, const Batch &batch,
                                          ReferenceState &state,
                                          const std::string &bucket) override {
    const absl::StatusOr<PackedBatch> packed = pack(batch);
    if (!packed.ok())
      return packed.status();
    const absl::StatusOr<mlir::func::FuncOp> function = choose(entry, bucket, *packed);
    if (!function.ok())
      return function.status();
    for (const Sequence &sequence : batch.sequences)
      if (absl::Status status = state.truncate(sequence.slot, sequence.start); !status.ok())
        return status;

    Step step{
        *packed,
        state,
        weights_,
        module_,
        symbols_,
        threads_,
        exact_formats_,
        Sizes({{"T", packed->num_tokens()}, {"B", packed->num_seqs()}, {"R", packed->num_rows()}})};
    absl::StatusOr<std::vector<Value<S>>> arguments = bind(*function, *packed);
    if (!arguments.ok())
      return arguments.status();
    absl::StatusOr<std::vector<Value<S>>> results =
        Frame<S>(step, {}).run(mlir::func::FuncOp(*function).getBody(), *std::move(arguments));
    if (!results.ok())
      return results.status();
    for (const Sequence &sequence : batch.sequences)
      state.advance(sequence.slot, sequence.start + static_cast<int64_t>(sequence.tokens.size()));
    return outputs(*results, *function);
  }

  absl::StatusOr<std::vector<Tensor>> call(const std::string &entry,
                                           std::span<const Tensor> inputs) override {
    const std::vector<Schedule> found = schedules(module_, entry);
    if (found.empty())
      return absl::NotFoundError(absl::StrCat("the module has no entry ", entry));
    mlir::func::FuncOp function = found.front().function;
    absl::StatusOr<Sizes> sizes = bind_sizes(function, inputs);
    if (!sizes.ok())
      return sizes.status();
    const PackedBatch no_batch;
    ReferenceState no_state;
    Step step{no_batch, no_state, weights_,       module_,
              symbols_, threads_, exact_formats_, *std::move(sizes)};
    std::vector<Value<S>> arguments;
    for (const Tensor &input : inputs)
      arguments.push_back(std::make_shared<const Tensor>(kept<S>(input)));
    absl::StatusOr<std::vector<Value<S>>> results =
        Frame<S>(step, {}).run(function.getBody(), std::move(arguments));
    if (!results.ok())
      return results.status();
    std::vector<Tensor> outputs;
    for (auto [value, type] : llvm::zip_equal(*results, function.getResultTypes())) {
      auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type);
      if (!tensor)
        return absl::UnimplementedError(absl::StrCat(
            result_name(function, static_cast<unsigned>(outputs.size())), " is no tensor"));
      outputs.push_back(*as_tensor<S>(value, tensor));
    }
    return outputs;
  }

private:
  absl::StatusOr<mlir::func::FuncOp> choose(const std::string &entry, const std::string &bucket,
                                            const PackedBatch &batch) const {
    const std::vector<Schedule> found = schedules(module_, entry);
    if (found.empty())
      return absl::NotFoundError(absl::StrCat("the module has no entry ", entry));
    for (const Schedule &schedule : found) {
      const bool admits = schedule.bucket.admits(batch);
      if (bucket.empty() ? admits : schedule.bucket.name == bucket) {
        if (!admits)
          break;
        return schedule.function;
      }
    }
    std::string of = bucket.empty() ? "no bucket" : absl::StrCat("no bucket ", bucket);
    return absl::OutOfRangeError(absl::StrCat(of, " of entry ", entry, " admits ",
                                              batch.num_tokens(), " tokens of ", batch.num_seqs(),
                                              " sequences with ", batch.num_rows(), " rows"));
  }

  /// The entry's arguments, told apart by their types.
  absl::StatusOr<std::vector<Value<S>>> bind(mlir::func::FuncOp function,
                                             const PackedBatch &batch) const {
    std::vector<Value<S>> arguments;
    for (mlir::Type type : function.getArgumentTypes()) {
      if (mlir::isa<BatchType>(type))
        arguments.push_back(BatchHandle());
      else if (isIndices(type) && rowsOf(type) == "T")
        arguments.push_back(std::make_shared<const Indices>(batch.tokens));
      else if (isIndices(type) && rowsOf(type) == "R")
        arguments.push_back(std::make_shared<const Indices>(batch.rows));
      else
        return absl::UnimplementedError(absl::StrCat("entry ", std::string(function.getName()),
                                                     ": argument ", arguments.size(),
                                                     " is neither tokens, rows nor the batch"));
    }
    return arguments;
  }

  absl::StatusOr<std::vector<Output>> outputs(const std::vector<Value<S>> &results,
                                              mlir::func::FuncOp function) const {
    std::vector<Output> outputs;
    for (auto [result, type] : llvm::zip_equal(results, function.getResultTypes())) {
      if (const auto *tensor = std::get_if<TensorPtr>(&result); tensor && isRows(type)) {
        outputs.push_back({(*tensor)->shape[0], (*tensor)->shape[1], (*tensor)->floats});
        continue;
      }
      const auto *rows = std::get_if<std::shared_ptr<const Rows<S>>>(&result);
      if (!rows)
        return absl::UnimplementedError(
            absl::StrCat("result ", outputs.size(), " of the entry is not rows"));
      outputs.push_back({(*rows)->rows, (*rows)->cols,
                         std::vector<double>((*rows)->data.begin(), (*rows)->data.end())});
    }
    return outputs;
  }

  mlir::ModuleOp module_;
  int threads_;
  bool exact_formats_;
  WeightContext weights_;
  mlir::SymbolTableCollection symbols_;
};

absl::StatusOr<std::shared_ptr<const weights::WeightStore>> open_files(mlir::ModuleOp module) {
  auto store = std::make_shared<weights::WeightStore>();
  auto files = module->getAttrOfType<mlir::ArrayAttr>(attrs::kFiles);
  if (!files)
    return store;
  for (auto [index, file] : llvm::enumerate(files.getAsRange<mlir::StringAttr>())) {
    const absl::StatusOr<int> number = store->add(file.str());
    if (!number.ok())
      return number.status();
    if (*number != static_cast<int>(index))
      return absl::InvalidArgumentError(absl::StrCat("quern.files names ", file.str(), " twice"));
  }
  return store;
}

} // namespace

absl::StatusOr<std::unique_ptr<Interpreter>> Interpreter::create(mlir::ModuleOp module,
                                                                 Options options) {
  std::shared_ptr<const weights::WeightStore> store = options.weights;
  if (!store) {
    auto opened = open_files(module);
    if (!opened.ok())
      return opened.status();
    store = *std::move(opened);
  }
  std::unique_ptr<Interpreter> interpreter;
  if (options.float64)
    interpreter = std::make_unique<TypedInterpreter<double>>(module, options, store);
  else
    interpreter = std::make_unique<TypedInterpreter<float>>(module, options, store);
  return interpreter;
}

absl::StatusOr<Output> Interpreter::step(const Batch &batch, ReferenceState &state,
                                         const std::string &bucket) {
  absl::StatusOr<std::vector<Output>> results = run("step", batch, state, bucket);
  if (!results.ok())
    return results.status();
  if (results->size() != 1)
    return absl::InvalidArgumentError(
        absl::StrCat("the entry step has ", results->size(), " results, not one"));
  return std::move(results->front());
}

bool has_eval(const std::string &op) { return EvalTable<float>::all().find(op) != nullptr; }

} // namespace quern::reference
